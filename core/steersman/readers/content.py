"""The bytes of a log: opened with a sentence for what fails, and never read further than asked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from steersman.readers.recording import UnreadableRun

LFS = b"version https://git-lfs"
IS_LFS = "it is a Git LFS pointer, not the file itself; run `git lfs pull`"
LONGEST_LINE = 64 * 2**20
HEAD = 65536
"""How much of a file is looked at to recognise it."""


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """Open a file for reading. Raises UnreadableRun where that, or reading on, fails."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise UnreadableRun(path, f"it cannot be read: {error.strerror or error}") from None


def head(path: Path, size: int = HEAD) -> bytes:
    """Return the first bytes of a file. Raises UnreadableRun where it cannot be read."""
    with opened(path) as file:
        return file.read(size)
