"""What is in a folder: names in order, told folder from file without asking the disk about each."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen


@frozen
class Listed:
    """One name in a folder. `is_file` is False of a folder, a pipe, a device and a link that leads nowhere."""

    path: Path
    name: str
    is_folder: bool
    is_file: bool


def listed(folder: Path) -> list[Listed]:
    """Return what a folder holds, by name. Raises OSError where it cannot be read."""
    if not is_local(folder):
        with remote(folder):
            found = [_remote_entry(path) for path in folder.iterdir()]
        return sorted(found, key=lambda entry: entry.name)
    with os.scandir(folder) as entries:
        found = [Listed(folder / entry.name, entry.name, *_kind(entry)) for entry in entries]
    return sorted(found, key=lambda entry: entry.name)


def is_local(path: Path) -> bool:
    """Whether a path is one of this machine's disks, and not a URL."""
    return isinstance(path, type(Path()))


@contextmanager
def remote(path: Path) -> Generator[None]:
    """Make an OSError of whatever goes wrong with a URL: its file system has errors of its own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if is_local(path):
            raise
        raise OSError(str(error) or type(error).__name__) from error


def _remote_entry(path: Path) -> Listed:
    is_folder = path.is_dir()  # a folder of a web server is a file to it too
    return Listed(path, path.name, is_folder, not is_folder and path.is_file())


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # a link that leads in a circle
        return False, False
