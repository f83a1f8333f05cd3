"""Which format a log is of, told by the first bytes of its content, never by its name."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import orjson
from attrs import frozen

from steersman.readers import content, names
from steersman.readers.headers import header_of, is_empty
from steersman.readers.steps import step_told
from steersman.records import number

Format = Literal[
    "journal", "trainer_state", "tensorboard", "trainer_log", "wandb", "lightning", "ultralytics", "jsonl", "csv"
]
Shape = Literal["object", "lines", "array", "table", "events"]

_LINES_LOOKED_AT = 5


@frozen
class Recognised:
    """The format of a log and the shape it is written in.

    `is_sure` is False where it has steps and numbers and nothing that only a training's log has.
    """

    format: Format
    shape: Shape
    is_sure: bool = True


def recognise(path: Path, size: int = content.HEAD) -> Recognised | None:
    """Return what a file is, or None where its first `size` bytes are those of no log.

    Raises UnreadableRun where the file cannot be read.
    """
    return recognised(content.head(path, size), size)


def recognised(start: bytes, size: int = content.HEAD) -> Recognised | None:
    """Return what the first bytes of a file are, of which there are `size` where it goes on."""
    if b"brain.Event:" in start[:64]:
        return Recognised("tensorboard", "events")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text or b"\0" in text[:1024].partition(b"\n")[0] or text.startswith(content.LFS):
        return None
    if b"\0" in text:  # a power loss leaves zeros where lines were
        text = b"\n".join(line for line in text.split(b"\n") if b"\0" not in line)
    whole = len(start) < size
    if text.startswith(b"{"):
        return _of_objects(text, whole)
    if text.startswith(b"["):
        rows = _array(text)
        return _of_rows(rows, "array") if rows else None
    return _of_table(text, whole)


def _of_objects(text: bytes, whole: bool) -> Recognised | None:
    begin = text.partition(b"\n")[0].rstrip()
    if begin == b"{" or b'"log_history"' in begin:  # an object over several lines, or one that is on one line
        return Recognised("trainer_state", "object") if b'"log_history"' in text else None
    lines = [line for line in text.split(b"\n")[: None if whole else -1] if line.strip()][:_LINES_LOOKED_AT]
    if not lines or _object(lines[0]) is None:
        return Recognised("trainer_state", "object") if b'"log_history"' in text else None
    if whole and len(lines) == 1 and (not text.endswith(b"\n") or b'"_wandb"' in text):
        return None  # one object, such as the summary of a W&B run
    return _of_rows([row for line in lines if (row := _object(line)) is not None], "lines")


def _of_rows(rows: Sequence[Mapping[str, Any]], shape: Shape) -> Recognised | None:
    found: Recognised | None = None
    for row in rows:
        if shape == "lines" and {"v", "kind", "step"} <= row.keys():
            return Recognised("journal", shape)
        told = _of_row(row, shape)
        if told is not None and told.is_sure:
            return told
        found = found or told
    return found


def _of_row(row: Mapping[str, Any], shape: Shape) -> Recognised | None:
    if "current_steps" in row and "total_steps" in row:
        return Recognised("trainer_log", shape)
    if "_step" in row and ("_timestamp" in row or "_runtime" in row):
        return Recognised("wandb", shape)
    has_step = any(step_told(row.get(name)) is not None for name in names.STEPS)
    if not has_step and not any(number(row.get(name)) is not None for name in names.EPOCHS):
        return None
    others = {name: value for name, value in row.items() if names.is_metric(name) and value is not None}
    numbers = [name for name, value in others.items() if number(value) is not None]
    if not numbers:
        return None
    is_sure = any(map(names.is_telling, numbers)) and 2 * len(numbers) > len(others)
    return Recognised("wandb" if "_step" in row else "jsonl", shape, is_sure)


def _of_table(text: bytes, whole: bool) -> Recognised | None:
    lines = text.split(b"\n")
    rows = _cells(lines if whole else lines[:-1])
    if len(rows) < 1 or len(rows[0]) < 2:
        return None
    told_by = header_of(rows[0])
    header = told_by.names
    if len(told_by.runs) > 1:
        return Recognised("wandb", "table")
    filled = [dict(zip(header, map(_value, row), strict=False)) for row in rows[1 : 1 + _LINES_LOOKED_AT]]
    if "epoch" in header and all(any(n.startswith(of) for n in header) for of in ("train/", "metrics/")):
        return Recognised("ultralytics", "table")
    told = _of_rows(filled, "table")
    if told is None:
        return None
    if told.format == "wandb" or told_by.runs:
        return Recognised("wandb", "table", told.is_sure)
    is_lightning = {"epoch", "step"} <= set(header) and (
        list(header) == sorted(header) or header[-2:] == ("epoch", "step")
    )
    return Recognised("lightning" if is_lightning else "csv", "table", told.is_sure)


def _cells(lines: Sequence[bytes]) -> list[list[str]]:
    texts = [line.decode("utf-8", "replace") for line in lines[: 1 + _LINES_LOOKED_AT]]
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in csv.reader(texts) if row)
    except csv.Error:  # a cell that is longer than a table may have
        return rows
    return rows


def _value(cell: str) -> float | str | None:
    if is_empty(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return cast("dict[str, Any]", row) if isinstance(row, dict) else None


def _array(text: bytes) -> list[dict[str, Any]]:
    decoder, rest = json.JSONDecoder(), text[1:].decode("utf-8", "ignore").lstrip()
    rows: list[dict[str, Any]] = []
    while rest.startswith("{") and len(rows) < _LINES_LOOKED_AT:
        try:
            row, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            break
        rows.append(row)
        rest = rest[end:].lstrip().removeprefix(",").lstrip()
    return rows
