"""Logs of one JSON object a line, or of an array of objects: LLaMA-Factory's, a W&B history, one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
from attrs import evolve

from steersman.readers import content
from steersman.readers.assembling import Assembly
from steersman.readers.layouts import layout_of
from steersman.readers.left_out import lines_left_out
from steersman.readers.padding import Padding
from steersman.readers.recognition import Format
from steersman.readers.recording import Recording, UnreadableRun, plan_of
from steersman.records import number

_LONGEST_ARRAY = 256 * 2**20
Rows = Iterator[tuple[Mapping[str, object], bool]]
"""Rows, each with whether it may hold a bare NaN."""


def read_lines(path: Path, log: Format, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a log with an object a line; a line that is torn is left out.

    Raises UnreadableRun for a line that is longer than any log's.
    """
    torn: dict[int, None] = {}
    made = _recording(path, log, lambda: _lines(path, torn), own)
    return evolve(made, notes=lines_left_out(tuple(torn), "no JSON")) if torn else made


def read_array(path: Path, log: Format, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a log that is one JSON array of objects. Raises UnreadableRun where it is none."""
    with content.opened(path) as file:
        text = file.read(_LONGEST_ARRAY + 1)
    if len(text) > _LONGEST_ARRAY:
        raise UnreadableRun(
            path,
            f"it is one JSON array of more than {_LONGEST_ARRAY >> 20} MB, which would have to be in memory whole; "
            "write one object a line, as `jq -c '.[]'` does",
        )
    try:
        rows = parsed(text)
    except ValueError as error:
        raise UnreadableRun(path, f"it is no whole JSON array: {error}") from None
    if not isinstance(rows, list):
        raise UnreadableRun(path, f"expected a JSON array of objects, got {type(rows).__name__}")
    may_be_padded = b"NaN" in text
    found = [cast("dict[str, object]", row) for row in cast("list[object]", rows) if isinstance(row, dict)]
    return _recording(path, log, lambda: ((row, may_be_padded) for row in found), own)


def _recording(path: Path, log: Format, rows: Callable[[], Rows], own: Mapping[str, str] | None) -> Recording:
    padding = Padding()
    made = _assembled(path, log, rows(), own, padding)
    return _assembled(path, log, rows(), own, padding.known) if padding.is_found else made


def _assembled(path: Path, log: Format, rows: Rows, own: Mapping[str, str] | None, padding: Padding) -> Recording:
    assembly = Assembly(partial(layout_of, own=own))
    total: object = None
    add, layout, planned, is_padded = assembly.add, assembly.layout, log == "trainer_log", padding.is_known
    for row, may_have_nan in rows:
        if planned:
            total = row.get("total_steps", total)
        if None in row.values():
            row = {name: value for name, value in row.items() if value is not None}
        if is_padded:
            row = padding.filled(row)
        elif may_have_nan or padding.is_suspected:
            padding.look(row)
        add(row, layout(tuple(row)))
    records = assembly.records()
    return Recording(path, log, records, plan_of(records, int(number(total) or 0) or None))


def _lines(path: Path, torn: dict[int, None]) -> Rows:
    """Yield the object of each line; `torn` gets the numbers of those that hold none."""
    with content.opened(path) as file:
        for at, line in enumerate(iter(lambda: file.readline(content.LONGEST_LINE), b""), 1):
            if len(line) >= content.LONGEST_LINE and not line.endswith(b"\n"):
                raise UnreadableRun(path, f"line {at} is longer than 64 MB, which no line of a log is")
            if not line.strip():
                continue
            try:
                row = parsed(line)
            except ValueError:  # torn, by a kill or because it is still being written
                torn[at] = None
                continue
            if isinstance(row, dict):
                yield cast("dict[str, object]", row), b"NaN" in line


def parsed(text: bytes) -> Any:
    """Return a JSON value; bare NaN and Infinity are read. Raises ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
