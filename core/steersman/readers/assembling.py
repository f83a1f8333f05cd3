"""Rows of a log become records: one for each step and stage, in the order in which they were logged.

A step that goes back, with metrics that were logged of a later one already, is a run that went on from a checkpoint:
what was logged from that step on is superseded and left out, as our journal and the Trainer leave it out. Where the
epoch went on while the step went back, the log counts steps anew in each epoch, and they are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

from attrs import define, evolve, field

from steersman.readers.layouts import ORDER, Layout, by_place, layout_of
from steersman.readers.names import Stage
from steersman.readers.steps import step_told
from steersman.records import Kind, Record, number

_AS_TEXT = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}
_FLOAT = {float}
_KINDS: dict[Stage, Kind] = {"train": "train", "eval": "eval", "test": "eval", "summary": "summary"}


@define
class Assembly:
    """Takes rows, one after the other, and has the records at the end. `make` returns the layout of a row's keys."""

    _make: Callable[[tuple[str, ...]], Layout] = layout_of
    _records: list[Record] = field(factory=list[Record])
    _stages: list[Stage] = field(factory=list[Stage])
    _layouts: dict[object, Layout] = field(factory=dict[object, Layout])
    _open: dict[Stage, int] = field(factory=dict[Stage, int])
    _step: int = 0
    _shift: int = 0
    _has_steps: bool = False
    _highest: int = -1
    _epoch: float | None = None
    _first_epoch: float | None = None

    def layout(self, keys: tuple[str, ...]) -> Layout:
        """Return the layout of rows that are mappings with these keys."""
        found = self._layouts.get(keys)
        if found is None:
            found = self._layouts[keys] = self._make(keys)
        return found

    def layout_by_place(self, keys: tuple[str, ...]) -> Layout:
        """Return the layout of rows that are sequences in the order of these keys."""
        found = self._layouts[("by place", keys)] = by_place(self._make(keys), keys)
        return found

    def add(self, row: Any, layout: Layout) -> None:
        """Take a row of `layout`. None is no value; a row without a step is of the step before it."""
        epoch = None if layout.epoch is None else row[layout.epoch]
        if epoch is not None:
            epoch = number(epoch)
            epoch = epoch if epoch is not None and math.isfinite(epoch) else None
        told = None if layout.step is None or (layout.counts_rows and self._has_steps) else row[layout.step]
        step = told if type(told) is int else self._step_of(step_told(told), epoch, layout)
        step += self._shift + layout.from_zero
        if step < self._highest:
            step = self._gone_back(step, epoch, layout)
        if step != self._step:
            self._close()
            self._step = step
        if step > self._highest:
            self._highest = step
        layout.latest = step
        if told is not None and not layout.counts_rows:
            self._has_steps = True
        if epoch is not None:
            self._epoch = epoch
        elapsed = None if layout.elapsed is None else row[layout.elapsed]
        elapsed = elapsed if elapsed is None or type(elapsed) is float else seconds(elapsed)
        elapsed = elapsed if elapsed == elapsed else None
        for part in layout.parts:
            values = part.pick(row)
            dropped: tuple[str, ...] = ()
            if set(map(type, values)) == _FLOAT:
                metrics = cast("dict[str, float]", dict(zip(part.names, values, strict=True)))
            else:
                metrics, dropped = _numbers(part.names, values)
            if not metrics and not dropped:
                continue
            record = Record(step, _KINDS[part.stage], metrics, epoch, elapsed, (), dropped)
            if part.stage in self._open:
                self._merge(self._open[part.stage], record)
            else:
                self._open[part.stage] = len(self._records)
                self._records.append(record)
                self._stages.append(part.stage)

    def records(self) -> tuple[Record, ...]:
        """Return the records. A test set that was evaluated along the way, where no other was, is the evaluation."""
        self._close()
        if "test" not in self._stages:
            return tuple(self._records)
        both = list(zip(self._stages, self._records, strict=True))
        tested = {record.step for stage, record in both if stage == "test"}
        leaves_out = "eval" in self._stages or len(tested) < 2
        return tuple(record for stage, record in both if not (leaves_out and stage == "test"))

    def _step_of(self, told: int | None, epoch: float | None, layout: Layout) -> int:
        """Return the step that a row tells: as a number, else that of the row before it, else by its epoch."""
        if told is not None:
            return told
        if self._highest >= 0 and (self._first_epoch is None or epoch is None):
            return self._step - self._shift - layout.from_zero
        if epoch is None:
            return 0
        if self._first_epoch is None:
            self._first_epoch = epoch
        return int(epoch) + (self._first_epoch == 0) - layout.from_zero

    def _gone_back(self, step: int, epoch: float | None, layout: Layout) -> int:
        """Return the step after what it supersedes is left out."""
        others = [other for other in self._layouts.values() if other.latest > step]
        if all(layout.metrics.isdisjoint(other.metrics) for other in others):
            return step  # logged late, or counted in another unit
        if epoch is not None and self._epoch is not None and math.floor(epoch) > math.floor(self._epoch):
            added, self._shift = self._highest - self._shift, self._highest
            return step + added
        self._close()
        kept = [i for i, record in enumerate(self._records) if record.step < step]
        self._records = [self._records[i] for i in kept]
        self._stages = [self._stages[i] for i in kept]
        for other in others:
            other.latest = -1
        self._highest = step
        return step

    def _merge(self, at: int, record: Record) -> None:
        """Add to the record of its stage at this step; a NaN takes no value's place."""
        first = self._records[at]
        before = first.metrics
        metrics = {name: v for name, v in record.metrics.items() if v == v or not math.isfinite(before.get(name, v))}
        self._records[at] = evolve(
            first,
            metrics={**before, **metrics},
            epoch=first.epoch if record.epoch is None else record.epoch,
            elapsed=first.elapsed if record.elapsed is None else record.elapsed,
            dropped=tuple(dict.fromkeys((*first.dropped, *record.dropped))),
        )

    def _close(self) -> None:
        """Put the records of a step in order: what was trained, then what was evaluated."""
        if len(self._open) > 1:
            at = min(self._open.values())
            stages = self._stages[at:]
            order = sorted(range(len(stages)), key=lambda i: ORDER.index(stages[i]))
            self._records[at:] = [self._records[at + i] for i in order]
            self._stages[at:] = [stages[i] for i in order]
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
