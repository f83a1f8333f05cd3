"""The file that many runs are streamed to: an object a line, taken up where it was cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson
from attrs import define, field

from steersman.journal import cut_torn_line
from steersman.results import ReplayedRun
from steersman.results_json import from_object, to_object

VERSION = 1
"""The version of a line; a key is never renamed or dropped without a new one."""


_BEGIN = b'{"version":'


class OtherResults(Exception):
    """A file holds something else than results of the same question; the message says what to do."""


@define(eq=False)
class ResultsFile:
    """Results, a line a run, each written whole. `asked` marks what was asked: a file holds answers to one question.

    Where a run has two lines, the later holds: one that could not be read is tried again.
    """

    path: Path
    asked: str
    _file: int | None = field(default=None, init=False)

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
                if run.error is None:
                    yield run

    def add(self, run: ReplayedRun) -> None:
        """Append a run."""
        if self._file is not None:
            line = orjson.dumps({"version": VERSION, "asked": self.asked, **to_object(run)})
            os.write(self._file, line + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _run(self, number: int, line: bytes) -> ReplayedRun:
        where = f"{self.path}, line {number}"
        try:
            told = cast("object", orjson.loads(line))
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
