"""The lines of a table: whole ones, without what a power loss, a kill or an unclosed quote left in it."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from attrs import define, field

from steersman.readers import content
from steersman.readers.left_out import lines_left_out
from steersman.readers.recording import UnreadableRun

_LONGEST_CELL = 1000
"""Lines that one cell may have."""


@define
class TableLines:
    """Yields the lines of a table; those that are torn are counted and left out."""

    _path: Path
    _text: io.TextIOWrapper
    _torn: list[int] = field(factory=list[int])
    _columns: int | None = None

    def __iter__(self) -> Iterator[str]:
        numbered = enumerate(iter(lambda: self._text.readline(content.LONGEST_LINE), ""), 1)
        ahead: deque[tuple[int, str]] = deque()
        while True:
            number, line = ahead.popleft() if ahead else next(numbered, (0, ""))
            if not line:
                return
            if len(line) >= content.LONGEST_LINE and not line.endswith("\n"):
                raise UnreadableRun(self._path, "it has a line of more than 64 MB, which no line of a log is")
            if "\0" in line or not line.endswith("\n"):
                self._torn.append(number)
                continue
            if line.count('"') % 2:
                ahead.extend(islice(numbered, max(0, _LONGEST_CELL - len(ahead))))
                closed = self._closed(line, ahead)
                if not closed:
                    self._torn.append(number)
                    continue
                line += "".join(ahead.popleft()[1] for _ in range(closed))
            if self._columns is None:
                self._columns = _cells(line)
            yield line

    def _closed(self, line: str, ahead: deque[tuple[int, str]]) -> int:
        """Return how many lines more the row has in which a quote was opened; 0 where it is never closed."""
        at = next((i for i, (_, more) in enumerate(ahead, 1) if more.count('"') % 2), 0)
        whole = line + "".join(more for _, more in islice(ahead, at))
        return at if self._columns in (None, _cells(whole)) else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        return lines_left_out(
            self._torn, "torn: cut short, with bytes that are zero, or with a quote that is not closed"
        )


def _cells(row: str) -> int:
    try:
        return len(next(csv.reader(row.splitlines(keepends=True)), ()))
    except csv.Error:
        return 0
