"""Late scores as a journal holds them: recorded by anybody, heard by the run at a check, or heard by none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from attrs import asdict, field, frozen

from steersman.journal import JournalEntry


@frozen
class LateScore:
    """Metrics of the weights of `step` that came after their evaluation; `by` is who found them, empty if not told."""

    step: int
    metrics: Mapping[str, float] = field(factory=dict[str, float])
    by: str = ""

    def to_json(self) -> dict[str, object]:
        """Return it as a journal holds it."""
        return asdict(self)


AFTER_THE_END = "after the end"
"""The reason of what no check heard, where a run that is over is looked at."""


def recorded_in(entries: Iterable[JournalEntry]) -> tuple[LateScore, ...]:
    """Return every late score of a run, in the order in which they were recorded; a malformed one is left out."""
    found = (_late(entry.step, entry.data) for entry in entries if entry.kind == "late_score")
    return tuple(late for late in found if late is not None)


def heard_in(entries: Iterable[JournalEntry]) -> dict[tuple[int, str], tuple[LateScore, ...]]:
    """Return the late scores that each check of a run heard, by the step and the reason of the check."""
    return {
        (entry.step, str(entry.data.get("reason"))): tuple(_scores(entry.data.get("scores")))
        for entry in entries
        if entry.kind == "late_heard"
    }


def left_unheard(entries: Iterable[JournalEntry]) -> tuple[LateScore, ...]:
    """Return the late scores that no check heard: of a run that has ended, was killed, or has not come to its next."""
    told = list(entries)
    left = list(recorded_in(told))
    for heard in (late for scores in heard_in(told).values() for late in scores):
        if heard in left:
            left.remove(heard)
    return tuple(left)


def newest_by_step(scores: Iterable[LateScore]) -> dict[int, dict[str, float]]:
    """Return the late metrics of each step; of a metric that was recorded twice, the newer."""
    found: dict[int, dict[str, float]] = {}
    for late in scores:
        found.setdefault(late.step, {}).update(late.metrics)
    return found


def _scores(told: object) -> Iterator[LateScore]:
    for item in cast("list[object]", told) if isinstance(told, list | tuple) else ():
        if isinstance(item, Mapping):
            data = cast("Mapping[str, object]", item)
            late = _late(data.get("step"), data)
            if late is not None:
                yield late


def _late(step: object, data: Mapping[str, object]) -> LateScore | None:
    """Return what a line tells, or None where it is none that `steersman record` would write."""
    metrics: object = data.get("metrics")
    if type(step) is not int or step < 0 or not isinstance(metrics, Mapping) or not metrics:
        return None
    found: dict[str, float] = {}
    for name, value in cast("Mapping[object, object]", metrics).items():
        if not isinstance(name, str) or type(value) not in (int, float) or not math.isfinite(cast("float", value)):
            return None
        found[name] = float(cast("float", value))
    return LateScore(step, found, str(data.get("by") or ""))
