"""What happens in a run that is told: records, and what the trainer does between them."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve, frozen

from steersman.readers.recording import plan_of
from steersman.records import Record
from steersman.schedule import RunPlan


@frozen
class Saved:
    """The checkpoint directory of the step was written."""

    step: int


@frozen
class Resume:
    """The run ends here and goes on from a checkpoint: state through JSON, everything made anew, the state restored."""


@frozen
class Kept:
    """The healthy state of now is kept for a rollback, as a resumed run does at its begin."""


Event = Record | Saved | Resume | Kept


def step_of(event: Event) -> int:
    """Return the step of an event that has one; 0 of another."""
    return 0 if isinstance(event, Resume | Kept) else event.step


def plan_for(events: Iterable[Event], *, total_steps: int | None, steps_per_epoch: float | None) -> RunPlan:
    """Return what is known of a run before its first step."""
    records = tuple(event for event in events if isinstance(event, Record))
    return evolve(plan_of(records, None), total_steps=total_steps, steps_per_epoch=steps_per_epoch)
