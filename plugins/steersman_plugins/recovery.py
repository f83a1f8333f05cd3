"""`recovery`: go back to the last healthy weights when the run has diverged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from attrs import define

from steersman import Check, Finding, Rollback, RolledBack, Run, Window, hookimpl, state
from steersman_plugins.trends import is_policy_gradient, setback


@define(eq=False)
class Recovery:
    """Propose a rollback on non-finite losses or gradients, and on a confirmed divergence.

    A divergence is a mean of the train loss above its best by more than `noise_multiple` times its own noise and
    `progress_share` of its progress so far, after `windows_needed` checks. It is confirmed where the eval loss says so
    too; where it is `severe` times as far above as that; or, at checks without an eval loss, `confirm` times in a row.
    Where the loss is no measure of health by construction (GRPO, RLOO) only what is not finite counts.
    """

    noise_multiple: float = 6.0
    """How many times its noise a mean loss must lie above its best; noise is the median deviation of its steps."""
    progress_share: float = 0.12
    """Share of its progress so far that the loss must have lost, too: it keeps runs without noise silent."""
    windows_needed: int = 3
    """Windows before a divergence can be seen: fewer give no measure of noise."""
    confirm: int = 2
    """Checks in a row that confirm a divergence where no eval loss can; 1 trusts a single check."""
    severe: float = 4.0
    """How many times further above its best than is explained a loss must be to need no confirmation."""
    leaves_evaluated: bool = False
    """Whether only what is not finite counts in a run that is evaluated: where trend-health judges its evaluations."""

    since: int = state(0)

    needs_snapshots: ClassVar[bool] = True

    @hookimpl
    def on_rolled_back(self, rollback: RolledBack) -> None:
        self.since = rollback.step  # what was learned and given up is no measure of what comes

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
        windows = tuple(w for w in check.windows if w.first_step >= self.since)
        losses, evals = _means(windows, "loss"), _means(windows, "eval_loss")
        if evals and self.leaves_evaluated:
            return ""
        excess = self._excess(losses)
        if excess > self.severe:
            return f"the train loss is {excess:.0f} times as far above its best as noise and progress explain"
        if excess <= 1:
            return ""
        if window.mean("eval_loss") is not None:
            both = "train loss and eval loss are above their best by more than noise and progress explain"
            return both if self._excess(evals) > 1 else ""
        if all(self._excess(losses[: len(losses) - i]) > 1 for i in range(self.confirm)):
            return f"the train loss is above its best by more than noise explains, at {self.confirm} checks in a row"
        return ""

    def _excess(self, losses: tuple[float, ...]) -> float:
        """Return how far the newest loss is above the lowest before it, in units of what is explained."""
        if len(losses) <= self.windows_needed:
            return 0.0
        above, limit = setback(losses, self.noise_multiple, self.progress_share)
        return above / limit if limit > 0 else 0.0


def _means(windows: tuple[Window, ...], name: str) -> tuple[float, ...]:
    return tuple(mean for window in windows if (mean := window.mean(name)) is not None)
