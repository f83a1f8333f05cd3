"""The append-only record of every decision, a JSON object a line; the one source for explain, report and resume.

Each line has `v` (the version of this format, now 1), `kind`, `step`, `time` (seconds since 1970) and the fields of
its kind, which docs/reference/journal.md lists. NaN and infinity are the texts "NaN", "Infinity" and "-Infinity". One
write makes one line, so a kill leaves whole lines but perhaps the last, which readers ignore and a resume cuts off.
"""

from __future__ import annotations

import json
import math
import numbers
import os
import time
from collections.abc import Callable, Iterator, Mapping
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
        self.subscribers: list[Callable[[JournalEntry], None]] = []
        self._complain = complain
        self._clock = clock
        self._file: int | None = None
        self._healthy = True

    def open(self) -> None:
        """Open the file; a torn last line is cut off. A new run in the same place goes on in the same file."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            cut_torn_line(self._file)
        except FileExistsError:  # of mkdir: a part of the path is a file
            self._failed(NotADirectoryError(20, "Not a directory"))
        except OSError as error:
            self._failed(error)

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
                    os.ftruncate(self._file, os.fstat(self._file).st_size - written)
                    raise OSError(28, "No space left on device")
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

    def _failed(self, error: OSError) -> None:
        if self._healthy:
            self._healthy = False
            self._complain(f"the journal {self.path} cannot be written: {error.strerror or error}; training goes on")


def read(path: Path) -> Iterator[JournalEntry]:
    """Yield the entries of a journal; a torn last line is left out.

    Raises ValueError for a line of a newer format, naming file and line.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                fields = cast("dict[str, Any]", json.loads(line))
                version, kind, step = fields.pop("v"), fields.pop("kind"), fields.pop("step")
                is_newer = version > VERSION
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
            if is_newer:
                raise ValueError(
                    f"{path}, line {number}: format {version} is newer than this Steersman reads ({VERSION})"
                )
            time_written = fields.pop("time", None)
            yield JournalEntry(kind, step, from_json(fields), time_written)


def attempts(path: Path) -> list[list[JournalEntry]]:
    """Return the entries of each run in the file, oldest first: a `run` entry that is no resume starts a new one."""
    runs: list[list[JournalEntry]] = []
    for entry in read(path):
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
