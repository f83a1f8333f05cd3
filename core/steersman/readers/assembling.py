"""Rows of a log become records: one for each step and stage, in the order in which they were logged.

A step that goes back, with metrics that were logged of a later one already, is a run that went on from a checkpoint:
what was logged from that step on is superseded and left out, as our journal and the Trainer leave it out. Where the
epoch went on while the step went back, the log counts steps anew in each epoch, and they are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from attrs import define, field

from steersman.readers.layouts import ORDER, Layout, Part, layout_of
from steersman.readers.names import Stage
from steersman.records import Kind, Record, number

_AS_TEXT = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}
_FLOAT = {float}


@define
class _Open:
    """The record of a step that more rows may add to."""

    metrics: dict[str, float]
    epoch: float | None
    elapsed: float | None
    dropped: tuple[str, ...]


@define
class Assembly:
    """Takes rows, one after the other, and has the records at the end."""

    _make: Callable[[tuple[str, ...]], Layout] = layout_of
    _records: list[tuple[Stage, Record]] = field(factory=list[tuple[Stage, Record]])
    _layouts: dict[tuple[str, ...], Layout] = field(factory=dict[tuple[str, ...], Layout])
    _open: dict[Stage, _Open] = field(factory=dict[Stage, _Open])
    _step: int = 0
    _before: int = 0
    _highest: int = -1
    _epoch: float | None = None
    _first_epoch: float | None = None

    def layout(self, keys: tuple[str, ...]) -> Layout:
        """Return the layout of these keys, made once."""
        found = self._layouts.get(keys)
        if found is None:
            found = self._layouts[keys] = self._make(keys)
        return found

    def add(self, row: Mapping[str, object], layout: Layout) -> None:
        """Take a row with the keys of `layout`. None is no value; one without a step is of the step before it."""
        epoch = number(row[layout.epoch]) if layout.epoch is not None else None
        step = self._step_of(row, layout, epoch)
        if step < self._highest:
            step = self._gone_back(step, epoch, layout)
        if step != self._step:
            self._close()
            self._step = step
        self._highest = max(self._highest, step)
        layout.latest, self._epoch = step, epoch if epoch is not None else self._epoch
        elapsed = seconds(row[layout.elapsed]) if layout.elapsed is not None else None
        for part in layout.parts:
            self._put(row, part, epoch, elapsed)

    def records(self) -> tuple[Record, ...]:
        """Return the records. A test set that was evaluated along the way, where no other was, is the evaluation."""
        self._close()
        evaluates = any(stage == "eval" for stage, _ in self._records)
        tested = {record.step for stage, record in self._records if stage == "test"}
        leaves_out = evaluates or len(tested) < 2
        return tuple(record for stage, record in self._records if not (leaves_out and stage == "test"))

    def _step_of(self, row: Mapping[str, object], layout: Layout, epoch: float | None) -> int:
        told = number(row[layout.step]) if layout.step is not None else None
        if told is not None and math.isfinite(told):
            return int(told) + self._before + layout.from_zero
        if self._highest >= 0 and (self._first_epoch is None or epoch is None):
            return self._step
        if epoch is None or not math.isfinite(epoch):
            return 0
        if self._first_epoch is None:
            self._first_epoch = epoch
        return int(epoch) + (self._first_epoch == 0)

    def _gone_back(self, step: int, epoch: float | None, layout: Layout) -> int:
        """Return the step after what it supersedes is left out."""
        others = [other for other in self._layouts.values() if other.latest > step]
        if not any(not layout.metrics.isdisjoint(other.metrics) for other in others):
            return step  # logged late, or counted in another unit
        if epoch is not None and self._epoch is not None and int(epoch) > int(self._epoch):
            began, self._before = self._before, self._highest
            return step - began + self._before
        self._close()
        self._records = [told for told in self._records if told[1].step < step]
        for other in others:
            other.latest = -1
        self._highest = step
        return step

    def _put(self, row: Mapping[str, object], part: Part, epoch: float | None, elapsed: float | None) -> None:
        values = [row[key] for key in part.keys]
        dropped: tuple[str, ...] = ()
        if set(map(type, values)) == _FLOAT:
            metrics = cast("dict[str, float]", dict(zip(part.names, values, strict=True)))
        else:
            metrics, dropped = _numbers(part.names, values)
        opened = self._open.get(part.stage)
        if opened is None:
            self._open[part.stage] = _Open(metrics, epoch, elapsed, dropped)
        else:
            opened.metrics.update(metrics)
            opened.epoch = epoch if epoch is not None else opened.epoch
            opened.elapsed = elapsed if elapsed is not None else opened.elapsed
            opened.dropped = tuple(dict.fromkeys((*opened.dropped, *dropped)))

    def _close(self) -> None:
        for stage in ORDER:
            if (told := self._open.get(stage)) and (told.metrics or told.dropped):
                kind: Kind = "eval" if stage == "test" else stage
                record = Record(self._step, kind, told.metrics, told.epoch, told.elapsed, (), told.dropped)
                self._records.append((stage, record))
        self._open.clear()


def _numbers(names: Sequence[str], values: Sequence[object]) -> tuple[dict[str, float], tuple[str, ...]]:
    metrics: dict[str, float] = {}
    dropped: list[str] = []
    for name, value in zip(names, values, strict=True):
        if value is None:
            continue
        as_number = _AS_TEXT.get(value.strip().lower()) if isinstance(value, str) else number(value)
        if as_number is None:
            dropped.append(name)
        else:
            metrics[name] = as_number
    return metrics, tuple(dropped)


def seconds(value: object) -> float | None:
    """Return a time in seconds: a number, or a text such as `0:01:24` or `1 day, 2:03:04`."""
    if not isinstance(value, str):
        return number(value)
    days, _, clock = value.rpartition(",")
    try:
        parts = [float(part) for part in clock.strip().split(":")]
        of_days = float(days.split()[0]) * 86400 if days else 0.0
    except (ValueError, IndexError):
        return None
    return of_days + sum((part * 60.0**i for i, part in enumerate(reversed(parts))), 0.0)
