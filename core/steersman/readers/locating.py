"""Where a run lies: a path of this machine, or the URL of a filesystem that fsspec knows (s3://, gs://, hf://)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from steersman.readers.recording import UnreadableRun

_URL = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)


def is_url(path: str | Path) -> bool:
    """Whether a path is a URL."""
    return _URL.match(str(path)) is not None


def located(path: str | Path) -> Path:
    """Return the path, or what stands for a URL and is used like a path.

    Raises UnreadableRun where the filesystem of a URL is not known or not installed.
    """
    if not isinstance(path, str) or not is_url(path):
        return Path(path) if isinstance(path, str) else path
    try:
        from upath import UPath
    except ImportError:
        raise UnreadableRun(Path(path), "a URL is read through fsspec: pip install 'steersman[scale]'") from None
    try:
        found = UPath(path)
        _ = found.fs  # the filesystem's own package is imported now, not at the first file
    except (ImportError, ValueError) as error:
        raise UnreadableRun(path, f"its filesystem cannot be used: {error}") from None
    return cast("Path", found)
