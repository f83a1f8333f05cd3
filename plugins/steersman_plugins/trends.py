"""What the trend rules look at: the losses and rewards of the last windows."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from attrs import frozen

from steersman import Run, Window
from steersman.hyperparameters import MOVES_REWARDS, base_of

POLICY_GRADIENT_KEYS = frozenset(
    {"frac_reward_zero_std", "completion_length", "completions/mean_length", "clip_ratio", "clip_ratio/region_mean",
     "actor/pg_clipfrac", "actor/ppo_kl", "response_length/mean"}
)  # fmt: skip
"""Keys that only trainers log whose loss is no measure of health by construction (GRPO, RLOO: about beta x KL).

The first are TRL's, the last verl's.
"""

SHOWN = 3
"""How many of the newest means a rule on trends looks at."""


@frozen
class Trend:
    """The newest window means, newest last; a window without the metric is left out.

    `variance` is that of the newest rewards.
    """

    losses: tuple[float, ...]
    rewards: tuple[float, ...]
    variance: float | None = None

    @property
    def loss(self) -> float | None:
        return self.losses[-1] if self.losses else None

    @property
    def reward(self) -> float | None:
        return self.rewards[-1] if self.rewards else None

    @property
    def loss_change(self) -> float | None:
        """Newest loss minus the one before: positive is worse."""
        return self.losses[-1] - self.losses[-2] if len(self.losses) > 1 else None

    @property
    def reward_change(self) -> float | None:
        """Newest reward minus the one before: positive is better."""
        return self.rewards[-1] - self.rewards[-2] if len(self.rewards) > 1 else None


def is_policy_gradient(windows: tuple[Window, ...]) -> bool:
    """Whether the logs are those of a policy-gradient trainer."""
    return any("reward" in w.means and any(key in w.means for key in POLICY_GRADIENT_KEYS) for w in windows[-8:])


def comparable(run: Run, windows: tuple[Window, ...]) -> tuple[Window, ...]:
    """Return the newest windows whose rewards can be compared: those since the last change that moves rewards.

    Where baselines begin anew after such a change (`rails.restart_baselines`), none is older. A change that waits for
    the next generation is cut at where it was decided: no reward is logged before that generation.
    """
    changed = [a.step for a in run.adjustments if base_of(a.hyperparameter) in MOVES_REWARDS]
    since = max(changed, default=None)
    if since is None or not windows or windows[0].first_step >= since:
        return windows
    return tuple(window for window in windows if window.first_step >= since)


def noise(values: tuple[float, ...]) -> float:
    """Return the median absolute deviation of the differences between neighbours."""
    steps = [b - a for a, b in itertools.pairwise(values)]
    if not steps:
        return 0.0
    middle = statistics.median(steps)
    return statistics.median(abs(step - middle) for step in steps)


def setback(values: tuple[float, ...], noise_multiple: float, progress_share: float) -> tuple[float, float]:
    """Return how far the newest value lies above the lowest before it, and how far is too far.

    Too far is more than the larger of `noise_multiple` x noise and `progress_share` of the way from the first value to
    the lowest, both from the values before the newest. Lower is better; negate what is better when higher.
    """
    earlier = values[:-1]
    lowest = min(earlier)
    return values[-1] - lowest, max(noise_multiple * noise(earlier), progress_share * (earlier[0] - lowest))


def rising(values: Sequence[float]) -> float:
    """Return how surely values rise, as a number of standard deviations; below 0 they fall.

    It is the z of the Mann-Kendall test, with the variance for ties: beyond 1.96 is chance in 5 of 100 courses without
    a trend. 0 where there are fewer than three values, or all are the same. Sources: Mann (1945), Kendall (1975).
    """
    n = len(values)
    if n < 3:
        return 0.0
    score = sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2))
    ties = [len(list(same)) for _, same in itertools.groupby(sorted(values))]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if not variance or not score:
        return 0.0
    return (score - math.copysign(1, score)) / math.sqrt(variance)
