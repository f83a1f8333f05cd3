"""`recovery`: go back to the last healthy weights when the run has diverged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from attrs import define

from steersman import Check, Finding, Rollback, Run, Window, hookimpl
from steersman_plugins.trends import is_policy_gradient, setback


@define(eq=False)
class Recovery:
    """Propose a rollback on non-finite losses or gradients, and on a confirmed divergence.

    A divergence is a mean of the train loss above its best by more than `noise_multiple` times its own noise and
    `progress_share` of its progress so far, after `windows_needed` checks. It is confirmed where the eval loss says so
    too, or, in a run or at a check without one, at `confirm` checks in a row. Where the loss is no measure of health by
    construction (GRPO, RLOO) only what is not finite counts.
    """

    noise_multiple: float = 6.0
    progress_share: float = 0.12
    windows_needed: int = 3
    confirm: int = 2

    needs_snapshots: ClassVar[bool] = True

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        because = self._why(check)
        if because:
            yield Finding("diverged", because, severity="critical")

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Rollback | None:
        because = self._why(check)
        return Rollback(because) if because else None

    def _why(self, check: Check) -> str:
        window = check.window
        if window is None or check.reason == "end":
            return ""
        for name, what in (("loss", "loss"), ("grad_norm", "gradient")):
            if window.nonfinite.get(name):
                return f"the {what} was NaN or infinite"
        if check.reason != "scheduled" or is_policy_gradient(check.windows):
            return ""
        losses = _means(check.windows, "loss")
        evals = _means(check.windows, "eval_loss")
        has_eval = window.mean("eval_loss") is not None
        if not self._is_above(losses):
            return ""
        if has_eval and self._is_above(evals):
            return "train loss and eval loss are above their best by more than noise and progress explain"
        since = [self._is_above(losses[: len(losses) - i]) for i in range(self.confirm)]
        if not has_eval and all(since):
            return f"the train loss is above its best by more than noise explains, at {self.confirm} checks in a row"
        return ""

    def _is_above(self, losses: tuple[float, ...]) -> bool:
        if len(losses) <= self.windows_needed:
            return False
        above, limit = setback(losses, self.noise_multiple, self.progress_share)
        return above > limit > 0


def _means(windows: tuple[Window, ...], name: str) -> tuple[float, ...]:
    return tuple(mean for window in windows if (mean := window.mean(name)) is not None)
