"""Late scores as a journal holds them: recorded by anybody, heard by the run at a check, or heard by none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

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


def recorded_in(entries: Iterable[JournalEntry]) -> tuple[LateScore, ...]:
    """Return every late score of a run, in the order in which they were recorded."""
    return tuple(_late(entry.step, entry.data) for entry in entries if entry.kind == "late_score")


def heard_in(entries: Iterable[JournalEntry]) -> dict[tuple[int, str], tuple[LateScore, ...]]:
    """Return the late scores that each check of a run heard, by the step and the reason of the check."""
    return {
        (entry.step, str(entry.data["reason"])): tuple(_late(int(s["step"]), s) for s in entry.data["scores"])
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


def _late(step: int, data: Mapping[str, Any]) -> LateScore:
    metrics = cast("Mapping[str, float]", data.get("metrics") or {})
    return LateScore(step, {name: float(value) for name, value in metrics.items()}, str(data.get("by") or ""))
