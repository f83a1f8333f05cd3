"""`rl-health`: look at reward, KL, entropy, groups and completions after each window; it proposes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import define, field

from steersman import Check, Finding, Run, hookimpl
from steersman_plugins.rl_course import Followed, Seen
from steersman_plugins.rl_policy_rules import at_limit, clip_saturation, entropy_collapse, groups, kl_runaway
from steersman_plugins.rl_rules import Range, RlRules, declining, missing, stagnant, variance, without_held_out
from steersman_plugins.trends import comparable

Name = Literal[
    "reward-declining", "reward-stagnant", "reward-variance", "reward-without-held-out", "kl-runaway",
    "entropy-collapse", "groups-all-right", "groups-all-wrong", "groups-all-alike", "completions-at-limit",
    "clip-saturation", "reward-missing",
]  # fmt: skip
"""What it can find."""
_RULES = (declining, variance, without_held_out, kl_runaway, entropy_collapse, at_limit, clip_saturation)


@define(eq=False)
class RlHealth:
    """Notice ill health of a policy that is trained on rewards: GRPO, RLOO, PPO, in TRL's names or verl's.

    A run without the metric `reward` is none. Nothing is proposed.
    """

    held_out: tuple[str, ...] = ()
    """Metrics that should rise with the reward and are not trained on, besides those known by themselves."""
    reward_range: Range | None = None
    """The lowest and the highest reward there can be; None is the most extreme that were seen."""
    leave_out: tuple[Name, ...] = ()
    """Findings that are not made, such as those another strategy makes already."""
    rules: RlRules = field(factory=RlRules)
    """Thresholds of the rules."""

    _followed: Followed = field(init=False, factory=Followed, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.reward_range is not None and not self.reward_range[0] < self.reward_range[1]:
            low, high = self.reward_range
            raise ValueError(f"reward_range: the lowest reward must be below the highest, got {low:g} and {high:g}")

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> list[Finding]:
        window = check.window
        if window is None or check.reason == "anomaly" or "reward" not in run.history:
            return []
        windows = check.windows if check.reason == "scheduled" else (*check.windows, window)
        seen = self._followed.follow(comparable(run, windows), self._held_out(run))
        found = [*self._found(seen)]
        if check.reason == "scheduled":  # a window that is cut short may well have no reward
            found += missing(self.rules, seen)
        return [finding for finding in found if finding.name not in self.leave_out]

    def _found(self, seen: tuple[Seen, ...]) -> Iterator[Finding]:
        if not seen:
            return
        for rule in _RULES:
            yield from rule(self.rules, seen)
        for rule_with_range in (stagnant, groups):
            yield from rule_with_range(self.rules, seen, self.reward_range)

    def _held_out(self, run: Run) -> tuple[str, ...]:
        """Return the held-out scores: those named, evaluations, and reward functions whose weight is 0."""
        for name in self.held_out:
            _ = run.history[name].latest  # remembered, and named at the end of the run if it never comes
        evaluated = [name for name in run.history.names() if name == "eval_reward" or name.startswith("val-core/")]
        weights = [name for name in run.hyperparameters if name.startswith("reward_weight[")]
        unpaid = [name[len("reward_weight[") : -1] for name in weights if run.hyperparameters[name].value == 0]
        return tuple(dict.fromkeys((*self.held_out, *evaluated, *(f"rewards/{name}/mean" for name in unpaid))))
