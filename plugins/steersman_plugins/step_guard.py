"""`step-guard`: clip gradients that are too large for the run, skip steps whose gradient is worse than that."""

from __future__ import annotations

import math
from collections.abc import Iterator

from attrs import define, field

from steersman import Check, Finding, Run, StepGuard, Window, hookimpl
from steersman.decisions import Severity
from steersman.validating import within

_FEW = 3
"""Fewer skipped steps than these are no ill health: a batch may be bad, and has reached no weight."""

_OF_REWARDS = ("kl_penalty", "temperature")
"""Hyperparameters that only trainers on rewards or preferences have."""


@define(eq=False)
class StepGuarding:
    """Guard each optimizer step by the gradient norms of the steps before it, and tell what was skipped and clipped.

    A norm may be at most max(`clip_multiple` x median, median + `clip_deviations` x MAD) of the newest ones, and where
    too many are beyond that, at most twice the median. After a rollback a step of SGD may move the weights by a tenth
    of their norm. Where a policy is trained on rewards gradients come and go with the advantages, and only a fixed
    `clip` and what is not finite count. See `steersman.StepGuard`. Nothing in it depends on the unit of the loss but a
    fixed `clip`.
    """

    skip_nonfinite: bool = True
    """Whether a step is skipped whose gradient is NaN or infinite."""
    clip: float | None = field(default=None, validator=within(0.0, open_below=True))
    """A fixed limit of the gradient norm, beside that of the run's own norms."""
    clip_multiple: float | None = field(default=3.0, validator=within(1.0))
    """How many times the median of the newest norms a gradient norm may be; null sets no limit by them."""
    clip_deviations: float = field(default=0.0, validator=within(0.0))
    """How many median deviations above that median it may be, where that is more."""
    skip_multiple: float | None = field(default=50.0, validator=within(1.0))
    """How many times the limit a norm must exceed for its step to be skipped; null skips none for its norm."""
    remembered: int = field(default=50, validator=within(5, 1000))
    """How many of the newest norms make the limit."""
    fade: bool = True
    """Whether of a gradient the less is left the further it is beyond the limit, as of an outlier."""
    tail_share: float | None = field(default=0.06, validator=within(0.0, 1.0))
    """The share of the newest norms beyond the limit from which on twice their median is the limit; null never is."""
    largest_move: float | None = field(default=0.1, validator=within(0.0, open_below=True))
    """The share of their own norm by which a step of SGD may move the weights after a rollback; null is any."""
    critical_share: float = field(default=0.2, validator=within(0.0, 1.0, open_below=True))
    """The share of skipped steps, three or more, that is critical."""
    clipped_share: float = field(default=0.5, validator=within(0.0, 1.0, open_below=True))
    """The share of clipped steps that is worth telling."""

    def __attrs_post_init__(self) -> None:
        self._by_norms()

    @hookimpl
    def guard_steps(self, run: Run) -> StepGuard:
        if any(run.hyperparameters[name].value is not None for name in _OF_REWARDS):
            return StepGuard(self.skip_nonfinite, self.clip)
        return self._by_norms()

    def _by_norms(self) -> StepGuard:
        return StepGuard(
            self.skip_nonfinite, self.clip, self.clip_multiple, self.clip_deviations, self.skip_multiple,
            self.remembered, self.fade, self.tail_share, self.largest_move,
        )  # fmt: skip

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        window = check.window
        if window is None or check.reason == "anomaly" or run.mode == "observe":
            return
        skipped, of_skipped = _in(run, window, "steps_skipped")
        clipped, of_clipped = _in(run, window, "steps_clipped")
        steps = max(of_skipped, of_clipped)
        if not steps:
            return
        verb = "were" if run.mode == "act" else "would have been"
        evidence: dict[str, float | str | None] = {"skipped": skipped, "clipped": clipped, "steps": steps}
        if skipped > 0:
            is_critical = skipped >= _FEW and skipped / steps >= self.critical_share
            told = f"{skipped:.0f} of {steps} steps {verb} skipped: not finite, or far beyond the norms before"
            severity: Severity = "critical" if is_critical else "warning" if skipped >= _FEW else "info"
            yield Finding("steps-skipped", told, severity, evidence)
        if clipped / steps >= self.clipped_share:
            yield Finding("steps-clipped", f"{clipped:.0f} of {steps} steps {verb} clipped", "info", evidence)


def _in(run: Run, window: Window, name: str) -> tuple[float, int]:
    """Return how many steps the logs of a window count, and of how many: sums, where the window has only a mean.

    A log that began before the window is left out, as after a rollback: part of its steps is not of the window.
    """
    if name not in run.history:
        return 0.0, 0
    total, steps, after = 0.0, 0, list[tuple[int, float]]()
    for step, value in (*run.history[name].backwards(), (0, 0.0)):
        while after and after[-1][0] > step >= window.first_step:
            last, counted = after.pop()
            total, steps = total + min(max(counted, 0.0), last - step), steps + last - step
        if step <= window.first_step:
            break
        if step <= window.last_step:
            after = [(step, value if math.isfinite(value) else 0.0)]
    return total, steps
