"""The strategy: its options, what it remembers, and its hooks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import define, field, validators

from steersman import Adjust, Adjustment, Check, Evaluation, Finding, Run, hookimpl, state
from steersman_plateau.counting import (
    Counts,
    Mode,
    ThresholdMode,
    after_change,
    after_evaluation,
    is_better,
    may_cut,
)

_RATE = "learning_rate"


@define(eq=False)
class Plateau:
    """Propose to cut the learning rate when a metric has not improved for more than `patience` evaluations.

    It judges neither while the learning rate warms up, nor in the last share of the steps, nor beside a scheduler that
    adapts itself. A metric that only training logs hold is judged at each scheduled check, by its mean since the last.
    A cut lasts, as in torch: it is not released when the run is healthy again.
    Source: PyTorch, torch.optim.lr_scheduler.ReduceLROnPlateau
    """

    metric: str = "eval_loss"
    """What must improve: any logged metric."""

    mode: Mode = "min"
    """`min` where the metric is better when lower, `max` where it is better when higher."""

    factor: float = field(default=0.5, validator=[validators.gt(0), validators.lt(1)])
    """What the rate is multiplied by; 0.5, not torch's 0.1, because the default rails halve a value at most."""

    patience: int = field(default=10, validator=validators.ge(0))
    """How many evaluations without improvement are let pass; the one after them leads to a cut. Torch's default."""

    threshold: float = field(default=1e-4, validator=validators.ge(0))
    """By more than how much an improvement must be better. Torch's default."""

    threshold_mode: ThresholdMode = "rel"
    """`rel`: the threshold is a share of the best value; `abs`: it is in the unit of the metric."""

    cooldown: int = field(default=0, validator=validators.ge(0))
    """How many evaluations after a change of the rate are not counted. Torch's default."""

    min_lr: float = field(default=0.0, validator=validators.ge(0))
    """Below which rate no cut leads."""

    eps: float = field(default=1e-8, validator=validators.ge(0))
    """By more than how much a cut must lower the rate, else it is not proposed. Torch's default."""

    last_share: float = field(default=0.2, validator=[validators.ge(0), validators.le(1)])
    """In which last share of the steps nothing is judged, as a schedule decays there by itself; 0 judges to the end."""

    best: float | None = state(None)
    bad: int = state(0)
    cooling: int = state(0)
    step: int = state(-1)
    comes_evaluated: bool = state(False)
    is_told: bool = state(False)

    def __attrs_post_init__(self) -> None:
        if self.mode == "min" and self.threshold_mode == "rel" and self.threshold >= 1:
            raise ValueError(f"threshold must be below 1 where it is relative and mode is min, got {self.threshold:g}")

    @hookimpl
    def on_train_begin(self, run: Run) -> None:
        _ = run.history[self.metric]  # asked for, so that the summary names it if it never comes

    @hookimpl
    def on_eval(self, run: Run, evaluation: Evaluation) -> None:
        value = evaluation.metrics.get(self.metric)
        if value is not None and evaluation.step > self.step:  # sets of one step may come one by one
            self.comes_evaluated = True
            self._judge(run, evaluation.step, value)

    @hookimpl
    def on_adjusted(self, adjustment: Adjustment) -> None:
        # What counts is the change that was made, not the one that was asked for. Torch may begin to count anew when
        # it wants a cut, because it makes it. Here a cut may be refused, or only be advised: then the plateau goes on,
        # and so does the proposal. Whoever made the change, what was counted before tells nothing of the new rate.
        if adjustment.hyperparameter == _RATE:
            self._remember(after_change(self._counts, self.cooldown))

    @hookimpl
    def on_rolled_back(self) -> None:
        self.bad = 0  # those evaluations were of weights that were given up

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        scheduler = run.plan.adaptive_scheduler
        if scheduler and not self.is_told:
            self.is_told = True
            yield Finding(
                "adaptive-scheduler", f"{scheduler} adapts the learning rate itself: nothing is judged", "info"
            )
        window = check.window
        if window is not None and check.reason == "scheduled" and not self.comes_evaluated:
            mean = math.nan if window.has_diverged(self.metric) else window.mean(self.metric)
            if mean is not None:
                self._judge(run, check.step, mean)
        if check.may_propose and self._has_stalled(run):
            rate = run.hyperparameters[_RATE].value
            unit = "evaluations" if self.comes_evaluated else "checks"
            than = "none was finite" if self.best is None else f"the best is {self.best:.6g}"
            message = f"{self.metric} has not improved for {self.bad} {unit}: {than}"
            if not self._may_cut(run):
                message += f"; the learning rate, {rate:g}, is not cut further (min_lr, eps)"
            evidence = {"bad": self.bad, "patience": self.patience, "best": self.best, _RATE: rate}
            yield Finding("plateau", message, "info", evidence)

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Adjust | None:
        if not (self._has_stalled(run) and self._may_cut(run)):
            return None
        because = f"plateau of {self.metric}"
        return Adjust(_RATE, scale=self.factor, at_least=self.min_lr, because=because, lasting=True)

    @property
    def _counts(self) -> Counts:
        return Counts(self.best, self.bad, self.cooling)

    def _remember(self, counts: Counts) -> None:
        self.best, self.bad, self.cooling = counts.best, counts.bad, counts.cooling

    def _judge(self, run: Run, step: int, value: float) -> None:
        if not self._is_time(run):
            return
        self._forget_what_cannot_be_compared(run)
        better = is_better(value, self.best, self.mode, self.threshold, self.threshold_mode)
        self._remember(after_evaluation(self._counts, value, better=better))
        self.step = step

    def _is_time(self, run: Run) -> bool:
        plan, share = run.plan, self.last_share
        is_late = share > 0 and plan.total_steps is not None and run.step >= (1 - share) * plan.total_steps
        return run.step >= plan.warmup_steps and not is_late and not plan.adaptive_scheduler

    def _has_stalled(self, run: Run) -> bool:
        self._forget_what_cannot_be_compared(run)
        return self.bad > self.patience and self._is_time(run)

    def _may_cut(self, run: Run) -> bool:
        return may_cut(run.hyperparameters[_RATE].value, self.factor, self.min_lr, self.eps)

    def _forget_what_cannot_be_compared(self, run: Run) -> None:
        if run.restarted_at is not None and self.step <= run.restarted_at:
            self._remember(Counts(cooling=self.cooling))
