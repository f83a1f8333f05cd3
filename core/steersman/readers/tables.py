"""Logs in tables of comma-separated values, a row a log: Lightning's, Ultralytics', a W&B history, one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from steersman.readers import content, lightning, ultralytics
from steersman.readers.assembling import Assembly
from steersman.readers.layouts import Layout, layout_of
from steersman.readers.recognition import Format
from steersman.readers.recording import Recording, UnreadableRun, plan_of
from steersman.records import Record

_LAYOUTS: dict[Format, Callable[[tuple[str, ...]], Layout]] = {"lightning": lightning.layout_of}
_FINISH: dict[Format, Callable[[tuple[Record, ...]], tuple[Record, ...]]] = {
    "lightning": lightning.with_epochs,
    "ultralytics": ultralytics.with_losses,
}


def read(path: Path, log: Format) -> Recording:
    """Return the recording of a table; an empty cell is no value, and a last row that is cut is left out."""
    assembly = Assembly(_LAYOUTS.get(log, layout_of))
    layouts: dict[tuple[bool, ...], tuple[Layout, tuple[str, ...], tuple[int, ...]]] = {}
    with content.opened(path) as file:
        rows = csv.reader(_whole_lines(io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")))
        try:
            header = [name.strip() for name in next(rows, ())]
            for row in rows:
                filled = tuple(map(bool, row))
                known = layouts.get(filled)
                if known is None:
                    at = tuple(i for i, is_filled in enumerate(filled) if is_filled and i < len(header) and header[i])
                    keys = tuple(header[i] for i in at)
                    known = layouts[filled] = assembly.layout(keys), keys, at
                layout, keys, at = known
                cells = [row[i] for i in at]
                try:
                    assembly.add(dict(zip(keys, map(float, cells), strict=True)), layout)
                except ValueError:
                    assembly.add(dict(zip(keys, map(_value, cells), strict=True)), layout)
        except csv.Error as error:
            raise UnreadableRun(path, f"line {rows.line_num} is no row of a table: {error}") from None
    records = _FINISH.get(log, tuple)(assembly.records())
    return Recording(path, log, records, plan_of(records, None))


def _whole_lines(file: io.TextIOWrapper) -> Iterator[str]:
    return (line for line in file if line.endswith("\n"))


def _value(cell: str) -> float | str | None:
    try:
        return float(cell)
    except ValueError:
        return cell if cell.strip() else None
