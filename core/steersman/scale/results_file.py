"""The file that many runs are streamed to: an object a line, taken up where it was cut."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson
from attrs import define, field

from steersman.journal import cut_torn_line
from steersman.results.json_objects import from_object, to_object
from steersman.results.run import ReplayedRun
from steersman.scale.work import is_as_it_was

VERSION = 1
"""The version of a line; a key is never renamed or dropped without a new one."""


_BEGIN = b'{"version":'


class OtherResults(Exception):
    """A file holds something else than results of the same question; the message says what to do."""


@define(eq=False)
class ResultsFile:
    """Results, a line a run, each written whole. `asked` marks what was asked: a file holds answers to one question.

    Where a run has two lines, the later holds: one that could not be read, or has gone on since, is replayed again.
    """

    path: Path
    asked: str
    _file: int | None = field(default=None, init=False)
    _failed: dict[str, str | None] = field(factory=dict[str, "str | None"], init=False)

    def taken_up(self) -> Iterator[ReplayedRun]:
        """Open the file and yield the runs that are in it already and need not be replayed again.

        Raises OtherResults where it holds something else.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        begin = os.pread(self._file, 64, 0)
        if begin and not begin.startswith(_BEGIN):
            raise OtherResults(f"{self.path}: it holds no results of `steersman replay`; name another file")
        cut_torn_line(self._file)
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                run = self._run(number, line)
                self._failed[run.path] = run.error
                if run.error is None and is_as_it_was(run):
                    yield run

    def add(self, run: ReplayedRun) -> None:
        """Append a run, but not one that could not be read and is told so already."""
        if self._file is not None and (run.error is None or self._failed.get(run.path) != run.error):
            line = {"version": VERSION, "asked": self.asked, "as_of": run.as_of, **to_object(run)}
            os.write(self._file, _line(line))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _run(self, number: int, line: bytes) -> ReplayedRun:
        where = f"{self.path}, line {number}"
        try:
            told = _value(line)
            if not isinstance(told, dict) or "asked" not in told:
                raise ValueError("it is no object of ours")
            values = cast("dict[str, Any]", told)
            run = from_object(values)
        except ValueError:
            raise OtherResults(f"{where}: it holds no result of `steersman replay`; name another file") from None
        if values["asked"] != self.asked:
            raise OtherResults(
                f"{where}: it was asked of other strategies, another config or another Steersman; name another file, "
                "or delete this one"
            )
        return run


def _line(value: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(value) + b"\n"
    except TypeError:  # the name of a file or a metric is no UTF-8: it is escaped
        return json.dumps(value, allow_nan=False).encode() + b"\n"


def _value(line: bytes) -> object:
    try:
        return cast("object", orjson.loads(line))
    except orjson.JSONDecodeError:
        return cast("object", json.loads(line))
