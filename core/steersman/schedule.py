"""When a health check is due, and how many a run will have."""

from __future__ import annotations

import math
from typing import Literal

from attrs import define, frozen

from steersman.tables import Table

CheckEvery = Literal["auto", "epoch", "eval"] | int
_SHARE_OF_RUN = 20


@frozen
class RunPlan:
    """What is known of a run before its first step; None where it is not.

    `evaluation_sets` is how many eval records one evaluation makes; `steps_per_epoch` may be fractional. Something is
    logged at the multiples of each of `logs_every`; a check can only be made where something is. The learning rate
    warms up for `warmup_steps`; `adaptive_scheduler` names a scheduler that moves it by what it hears itself.
    `keeps_snapshots` is whether a rollback has something to return to.
    """

    total_steps: int | None = None
    evaluates: bool | None = None
    evaluation_sets: int = 1
    eval_every: int | None = None
    steps_per_epoch: float | None = None
    logs_every: tuple[int, ...] = ()
    warmup_steps: int = 0
    adaptive_scheduler: str = ""
    keeps_snapshots: bool = False


@frozen
class Cadence:
    """Checks at each evaluation, each epoch, or every `steps` steps."""

    kind: Literal["eval", "epoch", "steps"]
    steps: int = 0

    def __str__(self) -> str:
        return {"steps": f"every {self.steps} steps", "eval": "each evaluation", "epoch": "each epoch"}[self.kind]


def cadence(check_every: CheckEvery, plan: RunPlan) -> Cadence:
    """Return when checks happen. `auto` is each evaluation, else a twentieth of the run, else each epoch."""
    if isinstance(check_every, int):
        return Cadence("steps", check_every)
    if check_every != "auto":
        return Cadence(check_every)
    if plan.evaluates:
        return Cadence("eval")
    if plan.total_steps:
        return Cadence("steps", max(plan.total_steps // _SHARE_OF_RUN, 1))
    return Cadence("epoch")


def checks_ahead(every: Cadence, plan: RunPlan, *, step: int = 0) -> int | None:
    """Return how many checks are left after `step`, or None where the plan does not tell."""
    if plan.total_steps is None:
        return None
    if every.kind == "steps":
        if plan.logs_every:
            return _at_logs(every, plan.total_steps, plan.logs_every, step)
        return plan.total_steps // every.steps - step // every.steps
    if every.kind == "epoch":
        per = plan.steps_per_epoch
        return int(plan.total_steps / per + 1e-9) - int(step / per + 1e-9) if per else None
    if not plan.evaluates:
        return 0
    if plan.eval_every:
        return math.ceil(plan.total_steps / plan.eval_every) - step // plan.eval_every
    return None


def _at_logs(every: Cadence, total: int, logs_every: tuple[int, ...], step: int) -> int:
    due = Due(every)
    due.start(step, None)
    settled = {total}.union(*(range(n, total + 1, n) for n in logs_every))
    return sum(due.check(at, epoch_closed=False, evaluated=False) for at in sorted(settled) if at > step)


@define
class Due:
    """Whether a check is due at a settled step. An epoch is reached once, whatever the fraction it is reached by."""

    every: Cadence
    next_epoch: int = 1
    next_step: int = 0

    def start(self, step: int, epoch: float | None) -> None:
        """Begin after `step`."""
        self.next_epoch = int((epoch or 0.0) + 1e-9) + 1
        self.next_step = (step // self.every.steps + 1) * self.every.steps if self.every.steps else 0

    def epoch_closed(self, epoch: float | None) -> bool:
        """Whether this step is the first whose epoch has reached the next whole number."""
        if epoch is None or not self.next_epoch <= epoch + 1e-9 < math.inf:
            return False
        self.next_epoch = int(epoch + 1e-9) + 1
        return True

    def quiet_until(self, table: Table, start: int, stop: int, epoch: float | None) -> int:
        """Return where rows from `start` end of which none but the last can be due or close an epoch, at most `stop`.

        `epoch` is where the run stands before them.
        """
        if epoch is not None and epoch + 1e-9 >= self.next_epoch:
            return start + 1
        stop = min(table.first_at_epoch(self.next_epoch, start, stop) + 1, stop)
        if self.every.kind == "steps":
            stop = min(table.first_at_step(self.next_step, start, stop) + 1, stop)
        return stop

    def check(self, step: int, *, epoch_closed: bool, evaluated: bool) -> bool:
        """Whether a check is due at `step`."""
        if self.every.kind == "epoch":
            return epoch_closed
        if self.every.kind == "eval":
            return evaluated and step > 0
        if step < self.next_step:
            return False
        self.next_step = (step // self.every.steps + 1) * self.every.steps
        return True
