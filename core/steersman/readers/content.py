"""The bytes of a log: opened with a sentence for what fails, and never read further than asked."""

from __future__ import annotations

import codecs
import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from steersman.readers.listing import is_local, remote
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
        with remote(path):
            file = cast("BinaryIO", path.open("rb"))
        with file if is_local(path) else _buffered(_Remote(file, path)) as readable:
            yield _as_utf8(readable)
    except OSError as error:
        raise UnreadableRun(path, f"it cannot be read: {error.strerror or error}") from None


def head(path: Path, size: int = HEAD) -> bytes:
    """Return the first bytes of a file. Raises UnreadableRun where it cannot be read."""
    with opened(path) as file:
        return file.read(size)


class _Remote(io.RawIOBase):
    """The file of a URL, as what reads lines of a bounded length wants it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with remote(self._path):
            read = self._file.read(len(buffer))
        buffer[: len(read)] = read
        return len(read)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Utf16(io.RawIOBase):
    """A text in UTF-16, such as PowerShell writes where output is redirected, as UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, b""
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            read = self._file.read(HEAD)
            self._left = self._decoder.decode(read, final=not read).encode()
            if not read:
                break
        given, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


def _as_utf8(file: BinaryIO) -> BinaryIO:
    is_utf16 = cast("io.BufferedReader", file).peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return _buffered(_Utf16(file)) if is_utf16 else file


def _buffered(file: io.RawIOBase) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(file, HEAD))
