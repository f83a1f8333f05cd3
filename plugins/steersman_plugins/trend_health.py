"""`trend-health`: look at loss and reward after each window, propose changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import define, field

from steersman import Adjust, Check, Finding, Run, hookimpl
from steersman_plugins.guarded_rules import GuardedRules, divergence, setbacks, without_cooling
from steersman_plugins.nonfinite import non_finite
from steersman_plugins.seed_rules import Fired, SeedRules, seed_rules
from steersman_plugins.trends import is_policy_gradient, trend_of


@define(eq=False)
class TrendHealth:
    """Notice ill health in the means of loss and reward, and propose changes.

    `preset` `seed` is the origin's rules; `guarded`, the default, is what its origin learned from them. `loss_rules`
    are off by themselves where the loss is no measure of health by construction (GRPO, RLOO), unless `on`.
    `seed` and `guarded` hold every threshold, factor and bound of the two presets.
    """

    preset: Literal["guarded", "seed"] = "guarded"
    """The rules: `guarded` moves the learning rate on divergence only; `seed` is the origin's, to the digit."""
    loss_rules: Literal["auto", "on", "off"] = "auto"
    """Whether rules look at the loss; `auto` is all trainers but GRPO and RLOO, whose loss is no measure of health."""
    seed: SeedRules = field(factory=SeedRules)
    """Thresholds, factors and bounds of the preset `seed`."""
    guarded: GuardedRules = field(factory=GuardedRules)
    """Thresholds, factors and bounds of the preset `guarded`."""

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> list[Finding]:
        return [
            Finding(f.rule, f.message, "critical" if f.severity == "critical" else "warning", f.evidence)
            for f in self._fired(run, check)
        ]

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> list[Adjust]:
        return [change for fired in self._fired(run, check) for change in fired.changes]

    def _fired(self, run: Run, check: Check) -> Iterator[Fired]:
        if check.window is None:
            return
        windows = check.windows if check.reason == "scheduled" else (*check.windows, check.window)
        use_loss = self.loss_rules == "on" or (self.loss_rules == "auto" and not is_policy_gradient(windows))
        trend = trend_of(windows, use_loss=use_loss)
        if self.preset == "seed":
            yield from non_finite(check.window)  # said, as the origin did not; its rules propose nothing for it
            if check.reason != "anomaly":
                yield from seed_rules(self.seed, trend)
            return
        before = windows[-2] if len(windows) > 1 else None
        rules = [*divergence(self.guarded, check.window, before, run.hyperparameters["max_grad_norm"].value)]
        if check.reason != "anomaly":
            variances = tuple(w.reward_variance for w in windows if w.reward_variance is not None)
            rules += setbacks(self.guarded, trend, variances)
        cooling = frozenset(a.hyperparameter for a in run.adjustments if _is_recent(run, a.step, a.epoch))
        yield from (without_cooling(fired, cooling) for fired in rules)


def _is_recent(run: Run, step: int, epoch: float | None) -> bool:
    """Whether a change was made less than an epoch ago; without epochs, less than one window ago."""
    if epoch is not None and run.epoch is not None:
        return run.epoch - epoch < 1
    return not run.windows or step > run.windows[-1].first_step
