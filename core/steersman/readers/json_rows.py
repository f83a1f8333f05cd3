"""Logs of one JSON object a line, or of an array of objects: LLaMA-Factory's, a W&B history, one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson

from steersman.readers import content
from steersman.readers.assembling import Assembly
from steersman.readers.layouts import layout_of
from steersman.readers.recognition import Format
from steersman.readers.recording import Recording, UnreadableRun, plan_of
from steersman.records import number


def read_lines(path: Path, log: Format, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a log with an object a line; a line that is torn is left out.

    Raises UnreadableRun for a line that is longer than any log's.
    """
    return _recording(path, log, _lines(path), own)


def read_array(path: Path, log: Format, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a log that is one JSON array of objects. Raises UnreadableRun where it is none."""
    with content.opened(path) as file:
        text = file.read()
    try:
        rows = parsed(text)
    except ValueError as error:
        raise UnreadableRun(path, f"it is no whole JSON array: {error}") from None
    if not isinstance(rows, list):
        raise UnreadableRun(path, f"expected a JSON array of objects, got {type(rows).__name__}")
    found = (cast("dict[str, object]", row) for row in cast("list[object]", rows) if isinstance(row, dict))
    return _recording(path, log, found, own)


def _recording(
    path: Path, log: Format, rows: Iterator[Mapping[str, object]], own: Mapping[str, str] | None
) -> Recording:
    assembly = Assembly(partial(layout_of, own=own))
    total: object = None
    add, layout, planned = assembly.add, assembly.layout, log == "trainer_log"
    for row in rows:
        if planned:
            total = row.get("total_steps", total)
        if None in row.values():
            row = {name: value for name, value in row.items() if value is not None}
        add(row, layout(tuple(row)))
    records = assembly.records()
    return Recording(path, log, records, plan_of(records, int(number(total) or 0) or None))


def _lines(path: Path) -> Iterator[Mapping[str, object]]:
    with content.opened(path) as file:
        for at, line in enumerate(iter(lambda: file.readline(content.LONGEST_LINE), b""), 1):
            if len(line) >= content.LONGEST_LINE and not line.endswith(b"\n"):
                raise UnreadableRun(path, f"line {at} is longer than 64 MB, which no line of a log is")
            if not line.strip():
                continue
            try:
                row = parsed(line)
            except ValueError:
                continue  # torn, by a kill or because it is still being written
            if isinstance(row, dict):
                yield cast("dict[str, object]", row)


def parsed(text: bytes) -> Any:
    """Return a JSON value; bare NaN and Infinity are read. Raises ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
