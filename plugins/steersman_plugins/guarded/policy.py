"""What the `guarded` preset does at a check of a run that is evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import define, evolve, field

from steersman import Adjust, Check, Rollback, Run
from steersman.decisions import Proposal
from steersman.history import KEPT
from steersman.outcomes import OWN_NAME
from steersman.run import Adjustment
from steersman.snapshots import RolledBack
from steersman_plugins.guarded.diagnoses import incurable
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.evaluations import died, diverged, overfits, worse_than_start
from steersman_plugins.guarded.memory import Cut, Memory, Trial, Trying
from steersman_plugins.guarded.past import LOOKED_AT, Past, past_of
from steersman_plugins.guarded.task import improves
from steersman_plugins.guarded.trials import (
    BACK,
    TRIAL,
    checks_needed,
    fall,
    goes_on,
    has_helped,
    proposed,
    taken_back,
    wanted,
)
from steersman_plugins.seed_rules import Fired

_LOGS = 256
_RESTORED = "well again since the rollback"


@define
class Guarded:
    """Judges evaluations one after the other. What it remembers is `memory`."""

    rules: EvaluatedRules
    memory: Memory = field(factory=Memory)
    _past: Past | None = field(init=False, default=None)
    _seen: tuple[int, tuple[Fired, ...]] = field(init=False, default=(-1, ()))

    def examine(self, run: Run, check: Check) -> tuple[Fired, ...]:
        """Return what the newest evaluation shows and asks for; nothing where the check has none."""
        window, memory = check.window, self.memory
        if check.reason != "scheduled" or window is None or window.mean("eval_loss") is None:
            return ()
        if self._seen[0] == check.step:
            return self._seen[1]
        memory.evaluations += 1
        if (rate := run.hyperparameters["learning_rate"].value) is not None:
            memory.highest = max(rate, memory.highest or 0.0)
        logs = _logs_since(run, window.first_step)
        if memory.start is None:
            memory.start = next(iter(_logs_since(run, 0, KEPT)), None)
        memory.first = window.means["eval_loss"] if memory.first is None else memory.first
        past = past_of(check.windows, memory.undone, memory.start, memory.lowest, memory.first)
        self._past = past
        fired = tuple(self._judge(run, check, past, logs))
        is_well = not any(f.severity == "critical" for f in fired)
        memory.was_well, memory.well = memory.well, memory.well + 1 if is_well else 0
        if is_well:
            memory.lowest = min(window.means["eval_loss"], math.inf if memory.lowest is None else memory.lowest)
        self._seen = check.step, fired
        return fired

    def hear_rollback(self, run: Run, made: RolledBack) -> None:
        """Leave out what was undone; whatever was tried is over."""
        memory = self.memory
        memory.undone = [*memory.undone, [made.to_step, made.step]][-LOOKED_AT:]
        memory.overfits += made.because.startswith("overfitting")
        memory.changed_at, memory.trial, memory.rolled_back_at = memory.evaluations, None, memory.evaluations
        memory.may_restore = not made.because.startswith((BACK, "overfitting", "worse-than-start", "dead-units"))
        if memory.raised is not None and memory.evaluations - memory.raised.at <= self.rules.trend:
            memory.may_restore, memory.raised = False, None
        was_well = memory.was_well if self._seen[0] == made.step else memory.well  # at an anomaly all was well before
        cut = memory.cut or Cut(1.0, memory.evaluations, was_well)
        cut = evolve(cut, factor=cut.factor * _already_cut(run, made.step), at=memory.evaluations)
        memory.cut = cut if memory.may_restore else None
        if made.because.startswith(BACK):
            self._failed()

    def hear_change(self, made: Adjustment) -> None:
        """Note a change of the learning rate, one of our own with what it was made for."""
        memory = self.memory
        if made.hyperparameter != "learning_rate" or not made.old:
            return
        memory.changed_at, memory.highest, factor = memory.evaluations, made.new, made.new / made.old
        if made.strategy == OWN_NAME and made.because != "rollback":
            memory.trial = memory.raised = memory.cut = None  # it was taken back or released: nothing is left to undo
        elif made.because == _RESTORED:
            memory.cut = None
        elif made.because == "rollback" and memory.cut is not None:
            memory.cut = evolve(memory.cut, factor=memory.cut.factor * factor, at=memory.evaluations)
        elif made.because.startswith(TRIAL):
            evals = self._past.evals if self._past is not None else ()
            lowest = min(evals, default=0.0)
            follows = memory.raised is not None and memory.raised.at == memory.evaluations - 1
            newest = evals[-2:] if follows else evals[-3:]
            memory.trial = Trial(_kind(factor), factor, memory.evaluations, lowest, fall(newest), follows)
        elif made.because.startswith(BACK):
            memory.trial = None
            self._failed()

    def _decays(self, run: Run) -> bool:
        """Whether the schedule has brought the learning rate far below its highest since the newest change."""
        rate, highest = run.hyperparameters["learning_rate"].value, self.memory.highest
        return rate is not None and highest is not None and rate < 0.5 * highest

    def _failed(self) -> None:
        memory = self.memory
        memory.failed += 1
        memory.rest_until = memory.evaluations + self.rules.rest * 2 ** (memory.failed - 1)

    def _judge(self, run: Run, check: Check, past: Past, logs: tuple[float, ...]) -> Iterator[Fired]:
        r, memory, window = self.rules, self.memory, check.window
        sick = incurable(r, window) if window is not None else None
        if sick is not None or (window is not None and "gradient_zero_share" in window.means):
            memory.sick = memory.sick + 1 if sick else 0
        if sick is not None and (again := died(r, sick, memory.evaluations, memory.undone)) is not None:
            memory.sick = 0
            yield again
            return
        if memory.sick:
            if sick is not None and memory.sick > 1:
                yield sick
            return
        bad = worse_than_start(r, past, logs) or diverged(r, past, logs, self._cut(past))
        if bad is None and (found := overfits(r, past, memory.overfits)) is not None:
            is_task_well = improves(check.windows, LOOKED_AT)
            is_harmless = is_task_well or _is_after(r.latest_overfitting, run)
            bad = evolve(found, changes=(), severity="warning") if is_harmless else found
        if bad is not None:
            yield (
                bad
                if run.plan.keeps_snapshots
                else evolve(bad, changes=tuple(map(self._without_snapshots, bad.changes)))
            )
            return
        yield from self._try_out(run, past)
        yield from self._restore()

    def _cut(self, past: Past) -> float:
        """Return what the learning rate is multiplied by where the run has diverged.

        A run that was well for long with this rate goes back without a cut; one that was tried with a higher rate of
        late gives that back.
        """
        r, memory = self.rules, self.memory
        if memory.raised is not None and memory.evaluations - memory.raised.at <= r.trend:
            return 1 / memory.raised.factor
        if len(past.points) <= r.early:
            return r.early_factor
        is_first = memory.evaluations - memory.rolled_back_at > r.early and memory.well >= r.early
        return 1.0 if is_first else r.late_factor

    def _without_snapshots(self, change: Proposal) -> Proposal:
        """Return what is done in place of a rollback where there is nothing to go back to: a cut alone."""
        if not isinstance(change, Rollback):
            return change
        factor = change.factor if change.factor is not None and change.factor < 1 else self.rules.late_factor
        return Adjust("learning_rate", scale=factor, because=change.because, lasting=True)

    def _try_out(self, run: Run, past: Past) -> Iterator[Fired]:
        r, memory = self.rules, self.memory
        trial, evidence = memory.trial, {"eval_loss": past.evals[-1]}
        if trial is not None:
            if memory.evaluations - trial.at < checks_needed(r, trial):
                return
            if not has_helped(r, past, trial):
                undo = taken_back(past, trial, may_go_back=run.plan.keeps_snapshots)
                yield Fired("trial-failed", "another learning rate did not help", {**evidence}, (undo,), "info")
                return
            memory.trial, memory.failed = None, 0
            memory.raised = trial if trial.kind == "slow" else memory.raised
            kind: Trying | None = "slow" if goes_on(r, past, trial) else None
        elif memory.evaluations < memory.rest_until:
            return
        else:
            kind = wanted(r, past, memory.evaluations - memory.changed_at, lambda: self._decays(run))
        if kind is not None and not _is_after(r.latest_trial, run):
            memory.rest_until = memory.evaluations + r.rest  # where it is refused or only advised
            change = proposed(r, kind)
            name = "learning-rate-too-low" if kind == "slow" else "noise-floor"
            yield Fired(name, change.because.removeprefix(TRIAL), {**evidence}, (change,), "info")

    def _restore(self) -> Iterator[Fired]:
        r, memory = self.rules, self.memory
        cut = memory.cut
        if cut is None or not r.restore_after or memory.evaluations - cut.at < r.restore_after:
            return
        if cut.was_well < r.early or cut.factor >= 1:
            memory.cut = None
        else:
            change = Adjust("learning_rate", scale=1 / cut.factor, because=_RESTORED, lasting=True)
            yield Fired("restored", f"{r.restore_after} evaluations are well since the rollback", {}, (change,), "info")


def _is_after(share: float, run: Run) -> bool:
    """Whether that share of the steps of a run, whose end is known, is over."""
    total = run.plan.total_steps
    return total is not None and run.step > share * total


def _logs_since(run: Run, step: int, newest: int = _LOGS) -> tuple[float, ...]:
    """Return the finite train losses logged after `step`, of the `newest` ones."""
    losses = run.history["loss"]
    logged = zip(losses.steps(newest), losses.last(newest), strict=True)
    return tuple(loss for at, loss in logged if at > step and math.isfinite(loss))


def _already_cut(run: Run, step: int) -> float:
    """Return what a sign has multiplied the learning rate by at the step of a rollback: the rollback's own cut lost."""
    newest = run.adjustments[-1] if run.adjustments else None
    is_cut = newest is not None and newest.step == step and newest.because == "divergence" and newest.old
    return newest.new / newest.old if newest is not None and is_cut else 1.0


def _kind(factor: float) -> Trying:
    return "slow" if factor > 1 else "floor"
