"""Logs in tables of comma-separated values, a row a log: Lightning's, Ultralytics', a W&B history, one's own."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import compress
from pathlib import Path
from typing import cast

from steersman.hindsight import listed
from steersman.readers import content, lightning, ultralytics
from steersman.readers.assembling import Assembly
from steersman.readers.headers import header_of, is_empty
from steersman.readers.layouts import Layout, layout_of
from steersman.readers.padding import Padding, has_nan
from steersman.readers.recognition import Format
from steersman.readers.recording import Recording, UnreadableRun, plan_of
from steersman.readers.table_lines import TableLines
from steersman.records import Record

_LAYOUTS: dict[Format, Callable[..., Layout]] = {
    "lightning": lightning.layout_of,
    "ultralytics": ultralytics.layout_of,
}
_ONE = "export the chart of one run alone, or the history of each"
_FINISH: dict[Format, Callable[[tuple[Record, ...]], tuple[Record, ...]]] = {
    "lightning": lightning.with_epochs,
    "ultralytics": ultralytics.with_losses,
}


def read(path: Path, log: Format, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a table; an empty cell is no value, and a last row that is cut is left out."""
    padding = Padding()
    made = _read(path, log, own, padding)
    return _read(path, log, own, padding.known) if padding.is_found else made


def _read(path: Path, log: Format, own: Mapping[str, str] | None, padding: Padding) -> Recording:
    assembly = Assembly(partial(_LAYOUTS.get(log, layout_of), own=own))
    is_padded = padding.is_known
    layouts: dict[tuple[bool, ...], tuple[Layout, list[bool], tuple[str, ...]]] = {}
    with content.opened(path) as file, io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="") as text:
        lines = TableLines(path, text)
        rows = csv.reader(iter(lines))
        try:
            told = header_of(next(rows, ()), own or ())
            if len(told.runs) > 1:
                raise UnreadableRun(path, f"it is a W&B chart of {len(told.runs)} runs, {_named(told.runs)}; {_ONE}")
            header = told.names
            for row in rows:
                filled = tuple(map(bool, row))
                known = layouts.get(filled)
                if known is None:
                    columns = [bool(name) and is_filled for name, is_filled in zip(header, filled, strict=False)]
                    keys = tuple(compress(header, columns))
                    known = layouts[filled] = assembly.layout_by_place(keys), columns, keys
                layout, columns, keys = known
                cells = compress(row, columns)
                try:
                    values: Sequence[object] = list(map(float, cells))
                    may_have_nan = has_nan(cast("list[float]", values))
                except ValueError:
                    values, may_have_nan = list(map(_value, compress(row, columns))), True
                if is_padded:
                    found = padding.filled(dict(zip(keys, values, strict=False)))
                    assembly.add(found, assembly.layout(tuple(found)))
                    continue
                if may_have_nan or padding.is_suspected:
                    padding.look(dict(zip(keys, values, strict=False)))
                assembly.add(values, layout)
        except csv.Error as error:
            raise UnreadableRun(path, f"line {rows.line_num} is no row of a table: {error}") from None
    records = _FINISH.get(log, tuple)(assembly.records())
    return Recording(path, log, records, plan_of(records, None), notes=lines.notes)


def _value(cell: str) -> float | str | None:
    try:
        return float(cell)
    except ValueError:
        return None if is_empty(cell) else cell


def _named(runs: Sequence[str]) -> str:
    return listed([*runs[:3], *([f"{len(runs) - 3} more"] if len(runs) > 3 else [])])
