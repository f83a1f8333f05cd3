"""What one run comes to: what it lacks to its twin, what acting cost it, whether its fault was seen."""

from __future__ import annotations

import math

from attrs import frozen

from steersman_bench.steer.case import Subject
from steersman_bench.steer.ending import Ran, Said

_WORST, _BEST = 150.0, -50.0
SOON = 6
"""Within how many evaluations from its onset a fault must be seen to count as seen."""


@frozen
class Sick:
    """A sick run: its excess, and after how many evaluations from the onset it was first spoken of or acted on.

    `delay` is None where that never was within six. `is_named` where a finding called the fault by its name by then.
    """

    case: str
    seed: int
    excess: float
    delay: int | None
    is_named: bool
    changes: int
    ran: Ran


@frozen
class Well:
    """A run that was well: what the policy cost it, in percent of what it learns when nobody is at the wheel.

    `cost` is against the last checkpoint of a run that is left alone. `own_cost` is what is due to acting: against
    the run left alone whose checkpoint is chosen as the policy chooses, and exactly 0 where nothing was touched.
    """

    case: str
    seed: int
    cost: float
    own_cost: float
    ran: Ran


def excess(metric: float, twin: float, untrained: float) -> float:
    """Return what a run lacks to its healthy twin, in percent of what the twin learned; lower is better.

    0 is as good as the twin, 100 as if nothing had been learned. Kept between -50 and 150; a metric that is not finite
    is the worst.
    """
    if not math.isfinite(metric):
        return _WORST
    return min(max(100 * (metric - twin) / (untrained - twin), _BEST), _WORST)


def sick_run(case: Subject, seed: int, ran: Ran, twin: Ran, eval_every: int) -> Sick:
    """Return what a sick run comes to beside its twin, which was left alone."""
    soon = case.onset + SOON * eval_every
    seen = [said.step for said in (*ran.findings, *ran.actions) if case.onset <= said.step < soon]
    first = min(seen, default=None)
    named = [said for said in ran.findings if case.onset <= said.step < soon and is_named(said, case)]
    delay = None if first is None else (first - case.onset) // eval_every + 1
    return Sick(case.name, seed, excess(ran.chosen, twin.end, twin.untrained), delay, bool(named), ran.changes, ran)


def is_named(said: Said, case: Subject) -> bool:
    """Whether a finding calls the fault of a case by its name."""
    return any(word in said.name for word in case.diagnoses)


def well_run(case: Subject, seed: int, ran: Ran, alone: Ran, chosen_alike: Ran) -> Well:
    """Return what a policy cost a run that was well."""
    cost = excess(ran.chosen, alone.end, alone.untrained)
    own = excess(ran.chosen, chosen_alike.chosen, chosen_alike.untrained)
    return Well(case.name, seed, cost, own, ran)
