"""`trend-health`: look at loss and reward after each window, propose changes."""

from __future__ import annotations

from typing import Any, Literal

from attrs import define, field

from steersman import Adjustment, Check, Finding, RolledBack, Run, Window, hookimpl, state
from steersman.decisions import Proposal
from steersman_plugins.courses import Courses
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.memory import remembered
from steersman_plugins.guarded.policy import Guarded
from steersman_plugins.guarded.signs import GuardedRules, divergence, setbacks, without_cooling
from steersman_plugins.nonfinite import non_finite
from steersman_plugins.seed_rules import Fired, SeedRules, seed_rules
from steersman_plugins.trends import SHOWN, Trend, comparable, is_policy_gradient


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
    evaluated: EvaluatedRules = field(factory=EvaluatedRules)
    """Thresholds and factors of `guarded` where the run is evaluated."""

    memory: dict[str, Any] = state({})

    _courses: Courses = field(init=False, factory=Courses, repr=False)
    _rewards: Courses = field(init=False, factory=Courses, repr=False)
    _policy: Guarded | None = field(init=False, default=None, repr=False)
    _seen: tuple[Check, list[Fired]] | None = field(init=False, default=None, repr=False)

    @property
    def needs_snapshots(self) -> bool:
        """Whether it may ask for a rollback; the origin's rules never do."""
        return self.preset == "guarded"

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> list[Finding]:
        fired = self._fired(run, check)
        self._seen = check, fired
        return [Finding(f.rule, f.message, f.severity, f.evidence) for f in fired]

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> list[Proposal]:
        seen, self._seen = self._seen, None
        fired = seen[1] if seen is not None and _is_same(seen[0], check) else self._fired(run, check)
        return [change for f in fired for change in f.changes]

    @hookimpl
    def on_adjusted(self, run: Run, adjustment: Adjustment) -> None:
        policy = self._guarded()
        policy.hear_change(adjustment)
        self.memory = policy.memory.saved()

    @hookimpl
    def on_rolled_back(self, run: Run, rollback: RolledBack) -> None:
        policy = self._guarded()
        policy.hear_rollback(run, rollback)
        self.memory = policy.memory.saved()

    def _guarded(self) -> Guarded:
        if self._policy is None:
            self._policy = Guarded(self.evaluated, remembered(self.memory))
        return self._policy

    def _evaluated(self, run: Run, check: Check) -> tuple[Fired, ...]:
        """Return what the policy makes of a check with an evaluation."""
        policy = self._guarded()
        fired = policy.examine(run, check)
        self.memory = policy.memory.saved()
        return fired

    def _fired(self, run: Run, check: Check) -> list[Fired]:
        window = check.window
        if window is None:
            return []
        windows = check.windows if check.reason == "scheduled" else (*check.windows, window)
        if check.reason != "anomaly":
            self._follow(run, windows)
        if self.preset == "seed":
            fired = [*non_finite(window)]  # said, as the origin did not; its rules propose nothing for it
            return fired if check.reason == "anomaly" else [*fired, *seed_rules(self.seed, self._trend(windows))]
        fired = self._guarded_signs(run, check, window, windows)
        if fired:
            cooling = frozenset(a.hyperparameter for a in run.adjustments if _is_recent(run, a.step, a.epoch))
            fired = [without_cooling(f, cooling) for f in fired]
        if check.reason == "scheduled" and self._looks_at_loss(windows):
            fired += self._evaluated(run, check)  # it counts evaluations itself: nothing of it waits for an epoch
        return fired

    def _guarded_signs(self, run: Run, check: Check, window: Window, windows: tuple[Window, ...]) -> list[Fired]:
        """Return what the preset `guarded` finds in the means of the window."""
        since = comparable(run, windows)
        before = since[-2] if len(since) > 1 else None
        fired = [*divergence(self.guarded, window, before, windows[:-1])]
        if check.reason == "anomaly":
            return fired
        has_loss, has_reward = window.mean("loss") is not None, self._has_reward(window)
        has_loss = has_loss and "eval_loss" not in window.means  # an eval loss is the better measure
        found = setbacks(self.guarded, self._courses, self._rewards, use_loss=has_loss, use_reward=has_reward)
        return [*fired, *(f for f in found if f.rule != "loss-diverged" or self._looks_at_loss(windows))]

    def _follow(self, run: Run, windows: tuple[Window, ...]) -> None:
        """Go on to `windows`; rewards are compared with those since the last change that moves them."""
        self._courses.follow(windows)
        since = comparable(run, windows)
        if len(since) == len(windows):
            self._rewards = self._courses
            return
        if self._rewards is self._courses or not since:
            self._rewards = Courses()
        if since:
            self._rewards.follow(since)

    def _has_reward(self, window: Window) -> bool:
        """Whether the newest window has a reward that may be judged."""
        return window.mean("reward") is not None and len(self._rewards.falls) > 0

    def _looks_at_loss(self, windows: tuple[Window, ...]) -> bool:
        return self.loss_rules == "on" or (self.loss_rules == "auto" and not is_policy_gradient(windows))

    def _trend(self, windows: tuple[Window, ...]) -> Trend:
        """Return the trend over the newest windows. The newest must have the metric, else it has no current value."""
        newest, has_reward = windows[-1], self._has_reward(windows[-1])
        use_loss = newest.mean("loss") is not None and self._looks_at_loss(windows)
        losses = self._courses.losses[-SHOWN:] if use_loss else ()
        rewards = [-fall for fall in self._rewards.falls[-SHOWN:]] if has_reward else ()
        return Trend(tuple(losses), tuple(rewards), newest.reward_variance if has_reward else None)


def _is_same(diagnosed: Check, check: Check) -> bool:
    """Whether proposals are asked for at the very check that was diagnosed."""
    return check.window is diagnosed.window and check.windows is diagnosed.windows and check.step == diagnosed.step


def _is_recent(run: Run, step: int, epoch: float | None) -> bool:
    """Whether a change was made less than an epoch ago; without epochs, less than one window ago."""
    if epoch is not None and run.epoch is not None:
        return run.epoch - epoch < 1
    return not run.windows or step > run.windows[-1].first_step
