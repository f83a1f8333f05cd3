"""What many replayed runs tell together, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen

from steersman.results.bootstrap import FEWEST


@frozen
class Comparison:
    """How the checkpoints of `chooser` did on one task metric against those of `against`, over the runs that have both.

    A win is a run in which the chooser's checkpoint is the better one, whichever way the metric is better; a tie has
    equal values, most often because it is the same checkpoint. `mean_difference` is in the metric's own unit, and
    positive where the chooser is better. `interval` is its 95 % bootstrap interval over runs, None under two runs.
    """

    chooser: str
    against: str
    metric: str
    higher_is_better: bool
    runs: int
    wins: int
    ties: int
    losses: int
    mean_difference: float
    interval: tuple[float, float] | None = None

    @property
    def why_no_interval(self) -> str | None:
        """The reason why there is no interval, None where there is one."""
        if self.interval is not None:
            return None
        return f"{self.runs} run has this metric; an interval over runs takes {FEWEST}"


@frozen
class Agreement:
    """In how many of the `runs` with a choice and a finite eval loss the chooser keeps the lowest eval loss."""

    chooser: str
    runs: int
    same: int


@frozen
class AlarmRate:
    """How often a strategy said under one name that something is wrong.

    `alarms` are findings that are no accounts, `critical` those of them that are critical, `runs` the runs with one.
    `per_thousand_steps` is over the steps of all runs that were read, None where they have none.
    """

    strategy: str
    name: str
    alarms: int
    critical: int
    runs: int
    per_thousand_steps: float | None


@frozen
class Proposals:
    """How many proposals of a strategy came to one verdict of the arbiter."""

    strategy: str
    verdict: str
    proposals: int


@frozen
class Stops:
    """What the first stop of a strategy in each run would have come to.

    `steps_saved` are the steps that came after it, over all `runs` in which it asked; `gave_up_better` how many of
    these runs had a checkpoint after it that the deciding scorer ranks first.
    """

    strategy: str
    runs: int
    steps_saved: int
    gave_up_better: int


@frozen
class Failed:
    """In how many runs a strategy failed in one hook; `error` is what it said in the first of them."""

    strategy: str
    hook: str
    runs: int
    error: str


@frozen
class Total:
    """What all replayed runs tell together. `failed` of the `runs` could not be read; the rest is over the others.

    `runs_with_alarm` are those with any finding that something is wrong, `strategy_errors` how often strategies failed
    and `failures` which did. Of `runs_with_notes` a source or some lines could not be read, `first_note` is what was
    said of the first. `unknown_direction` are the metrics nobody said the direction of, by how many runs
    have them.
    """

    runs: int = 0
    failed: int = 0
    records: int = 0
    evaluations: int = 0
    steps: int = 0
    runs_with_task_metric: int = 0
    comparisons: tuple[Comparison, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    alarms: tuple[AlarmRate, ...] = ()
    runs_with_alarm: int = 0
    proposals: tuple[Proposals, ...] = ()
    stops: tuple[Stops, ...] = ()
    strategy_errors: int = 0
    failures: tuple[Failed, ...] = ()
    runs_with_notes: int = 0
    first_note: str = ""
    unknown_direction: Mapping[str, int] = field(factory=dict[str, int])

    @property
    def read(self) -> int:
        """How many runs could be read."""
        return self.runs - self.failed

    @property
    def share_with_alarm(self) -> float | None:
        """The share of the runs read that have any alarm; None where none was read."""
        return self.runs_with_alarm / self.read if self.read else None

    def alarms_of(self, strategy: str) -> int:
        """Return how many alarms a strategy raised in all."""
        return sum(rate.alarms for rate in self.alarms if rate.strategy == strategy)

    def alarms_per_thousand_steps(self, strategy: str) -> float | None:
        """Return how many alarms a strategy raised per thousand steps; None where the runs have no step."""
        return 1000 * self.alarms_of(strategy) / self.steps if self.steps else None

    def as_object(self) -> dict[str, Any]:
        """Return the fields as plain values, with `share_with_alarm`, and `why_no_interval` at each comparison."""
        told = attrs.asdict(self)
        told["share_with_alarm"] = self.share_with_alarm
        for comparison, made in zip(self.comparisons, told["comparisons"], strict=True):
            made["why_no_interval"] = comparison.why_no_interval
        return told
