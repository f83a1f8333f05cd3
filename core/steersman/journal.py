"""The append-only record of every decision, a JSON object a line; the one source for explain, report and resume.

Each line has `v` (the version of this format, now 1), `kind`, `step`, `time` (seconds since 1970) and the fields of
its kind, which docs/reference/journal.md lists. NaN and infinity are the texts "NaN", "Infinity" and "-Infinity". One
write makes one line, so a kill leaves whole lines but perhaps the last, which readers ignore and a resume cuts off.
Other processes may append late scores meanwhile: who cuts anything off holds the lock beside the file.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import re
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import orjson
from attrs import frozen

from steersman.secrets import masked

VERSION = 1


@frozen
class JournalEntry:
    """One line: what happened (`kind`), at which step, and its fields."""

    kind: str
    step: int
    data: Mapping[str, Any]
    time: float | None = None


class Journal:
    """Writes entries to a file and tells them to subscribers. A disk that fails is said once and never raises.

    `path` None keeps nothing on disk. `complain` receives the sentence about a disk that fails.
    """

    def __init__(
        self,
        path: Path | None,
        complain: Callable[[str], None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.written, self.opened_at = 0, 0  # bytes written here, and where they begin
        self.subscribers: list[Callable[[JournalEntry], None]] = []
        self._complain = complain
        self._clock = clock
        self._file: int | None = None
        self._healthy = True

    def open(self, *, cuts: bool = True) -> None:
        """Open the file. A new run in the same place goes on in the same file.

        A torn last line is cut off, or ended where another process may be writing it: not `cuts`.
        """
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            _mend(self._file, self.path, cuts=cuts)
            self.opened_at = os.fstat(self._file).st_size
        except FileExistsError:  # of mkdir: a part of the path is a file
            self._failed(NotADirectoryError(20, "Not a directory"))
        except OSError as error:
            self._failed(error)

    def size(self) -> int | None:
        """Return how long the file is now, whoever wrote it; None where it is no open file of a disk."""
        found = os.fstat(self._file) if self._file is not None else None
        return found.st_size if found is not None and stat.S_ISREG(found.st_mode) else None

    @property
    def is_open(self) -> bool:
        """Whether entries reach a file."""
        return self._file is not None

    def write(self, kind: str, step: int, **data: Any) -> None:
        """Append one entry."""
        entry = JournalEntry(kind, step, masked(data), self._clock())
        if self._file is not None:
            line = _line(entry)
            try:
                written = os.write(self._file, line)
                if written != len(line):
                    self._take_back(line[:written])
                    raise OSError(28, "No space left on device")
                self.written += written
                self._healthy = True
            except OSError as error:
                self._failed(error)
        for subscriber in self.subscribers:
            subscriber(entry)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take_back(self, part: bytes) -> None:
        """Cut off a part of a line, unless another process has appended something since."""
        if self._file is None or self.path is None:
            return
        with ExitStack() as held:
            with suppress(OSError):  # on a full disk there may be none to have
                held.enter_context(locked(self.path, patience=1.0))
            begin = os.fstat(self._file).st_size - len(part)
            if os.pread(self._file, len(part) + 1, begin) == part:
                os.ftruncate(self._file, begin)

    def _failed(self, error: OSError) -> None:
        if self._healthy:
            self._healthy = False
            self._complain(f"the journal {self.path} cannot be written: {error.strerror or error}; training goes on")


def read(path: Path, *, words: tuple[bytes, ...] = ()) -> Iterator[JournalEntry]:
    """Yield the entries of a journal; a torn last line is left out.

    With `words` only lines that hold one of them are parsed, which is ten times as fast.
    Raises ValueError for a line of a newer format, naming file and line.
    """
    with path.open("rb") as file:
        lines = enumerate(file, 1)
        holds = re.compile(b"|".join(map(re.escape, words))).search
        yield from parsed((x for x in lines if holds(x[1])) if words else lines, path)


def parsed(lines: Iterable[tuple[int, bytes]], path: Path) -> Iterator[JournalEntry]:
    """Yield the entry of each numbered line of the journal at `path`, until one that is torn.

    Raises ValueError for a line of a newer format, naming file and line.
    """
    for number, line in lines:
        if not line.endswith(b"\n"):
            return
        try:
            fields = cast("dict[str, Any]", json.loads(line))
            version, kind, step = fields.pop("v"), fields.pop("kind"), fields.pop("step")
            is_newer = version > VERSION
            if type(step) is not int or type(kind) is not str:
                continue
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
        if is_newer:
            raise ValueError(f"{path}, line {number}: format {version} is newer than this Steersman reads ({VERSION})")
        time_written = fields.pop("time", None)
        yield JournalEntry(kind, step, from_json(fields), time_written)


@contextmanager
def locked(path: Path, *, patience: float = 10.0) -> Generator[None]:
    """Hold the lock of a journal, a file beside it.

    Raises OSError where it cannot be had, a TimeoutError where another process keeps it for `patience` seconds.
    """
    from filelock import FileLock, Timeout

    place = f"{path.resolve()}.lock"
    lock = FileLock(place)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise TimeoutError(110, f"another process has held the lock {place} for {patience:g} s; try again") from None
    try:
        yield
    finally:
        lock.release()


def attempts(path: Path) -> list[list[JournalEntry]]:
    """Return the entries of each run in the file, oldest first: a `run` entry that is no resume starts a new one."""
    return attempts_of(read(path))


def attempts_of(entries: Iterable[JournalEntry]) -> list[list[JournalEntry]]:
    """Return the same of entries that were read."""
    runs: list[list[JournalEntry]] = []
    for entry in entries:
        if not runs or (entry.kind == "run" and not entry.data.get("resumed")):
            runs.append([])
        runs[-1].append(entry)
    return runs


def to_json(value: Any) -> Any:
    """Return `value` with NaN and infinity as text, tuples as lists, paths as text."""
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, numbers.Real) and not isinstance(value, int):
        return _finite_or_text(float(value))
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(v) for v in cast("list[object]", value)]
    if isinstance(value, str | int):
        return value
    try:
        return str(value)
    except Exception:
        return f"a {type(value).__name__} whose text cannot be made"


def _finite_or_text(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def from_json(value: Any) -> Any:
    """Return `value` with the texts of NaN and infinity as numbers: what `to_json` was given."""
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    if isinstance(value, dict):
        return {k: from_json(v) for k, v in cast("dict[str, Any]", value).items()}
    return [from_json(v) for v in cast("list[object]", value)] if isinstance(value, list) else value


def _line(entry: JournalEntry) -> bytes:
    fields = {"v": VERSION, "kind": entry.kind, "step": entry.step, "time": entry.time, **entry.data}
    try:
        line = orjson.dumps(fields)
    except TypeError:  # a value that JSON has no type for
        line = b"null"
    if b"null" in line:  # what orjson makes of NaN and infinity too
        line = _ENCODER.encode(to_json(fields)).encode(errors="replace")
    return line + b"\n"


def _mend(file: int, path: Path, *, cuts: bool) -> None:
    """Cut a torn last line off, or end it: where not `cuts`, or where the lock cannot be had."""
    if cuts and _is_torn(file):
        with suppress(TimeoutError), locked(path):
            cut_torn_line(file)
    if _is_torn(file):
        os.write(file, b"\n")


def _is_torn(file: int) -> bool:
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def cut_torn_line(file: int) -> None:
    """Cut off what follows the last line break: a line that was not written whole."""
    size = os.fstat(file).st_size
    keep, chunk = size, 65536
    while keep > 0:
        start = max(keep - chunk, 0)
        found = os.pread(file, keep - start, start).rfind(b"\n")
        if found >= 0:
            keep = start + found + 1
            break
        keep = start
    if keep < size:
        os.ftruncate(file, keep)
