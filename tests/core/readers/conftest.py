"""Event files written with TensorBoard's own writer, and logs written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def write_events() -> Callable[..., Path]:
    """Return a function that writes an event file: `(step, {tag: value}, seconds)` each, from second 1000 on."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    def write(path: Path, *rows: tuple[Any, ...]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            writer = RecordWriter(file)
            writer.write(Event(wall_time=1000.0, file_version="brain.Event:2").SerializeToString())
            for step, scalars, *seconds in rows:
                values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
                wall = 1000.0 + (seconds[0] if seconds else 0)
                writer.write(Event(wall_time=wall, step=step, summary=Summary(value=values)).SerializeToString())
            writer.flush()
        return path

    return write


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes JSON lines, by default to `log.jsonl`; text is written as it is."""

    def write(*rows: Mapping[str, Any] | str, name: str = "log.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the lines of a table, by default to `log.csv`."""

    def write(*lines: str, name: str = "log.csv") -> Path:
        path = tmp_path / name
        path.write_text("".join(line + "\n" for line in lines))
        return path

    return write


@pytest.fixture
def told() -> Callable[[Any], list[tuple[Any, ...]]]:
    """Return a function that gives step, kind and metrics of each record of a recording."""
    return lambda recording: [(r.step, r.kind, dict(r.metrics)) for r in recording.records]
