"""What is followed of a policy-gradient run: the figures of each window, whoever logged them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

from steersman import Window

NAMES: Mapping[str, tuple[str, ...]] = {
    "reward": ("reward",),
    "kl": ("kl", "objective/kl"),
    "entropy": ("entropy", "policy/entropy_avg", "objective/entropy"),
    "length": ("completions/mean_length", "completion_length", "response_length/mean"),
    "longest": ("completions/max_length", "response_length/max"),
    "at_limit": ("completions/clipped_ratio", "response_length/clip_ratio"),
    "clipped": ("clip_ratio/region_mean", "clip_ratio", "actor/pg_clipfrac", "policy/clipfrac_avg"),
    "alike": ("frac_reward_zero_std",),
    "lowest": ("critic/rewards/min",),
    "highest": ("critic/rewards/max",),
}
"""The names of each quantity: those of TRL today and before, of verl, and of TRL's PPO; the first that is there counts.

KL is that to the reference model, entropy is in nats a token, lengths are in tokens. `at_limit`, `clipped` and `alike`
are shares: of completions cut off, of tokens clipped, of groups with one reward throughout. `lowest` and `highest` are
rewards of single completions.
"""


@frozen
class Seen:
    """What a window says of a policy; None where it does not. `held_out` are means of held-out scores by name.

    `has_logs` is whether the window has more than evaluations. `variance` is that of the rewards of single completions,
    known where `reward_std` is logged, and `spread` its root. `kl_least` is the mean KL less its standard deviation
    between logs: its estimate has a heavy tail, and one odd completion among many moves the mean alone.
    """

    step: int
    has_logs: bool = True
    reward: float | None = None
    variance: float | None = None
    spread: float | None = None
    lowest: float | None = None
    highest: float | None = None
    kl: float | None = None
    kl_least: float | None = None
    entropy: float | None = None
    length: float | None = None
    longest: float | None = None
    at_limit: float | None = None
    clipped: float | None = None
    alike: float | None = None
    held_out: Mapping[str, float] = field(factory=dict[str, float])


def seen_in(window: Window, held_out: tuple[str, ...]) -> Seen:
    """Return what a window says of a policy, its rewards, and the held-out scores of these names."""
    means = {quantity: _first(window, names) for quantity, names in NAMES.items()}
    has_spread = means["reward"] is not None and window.mean("reward_std") is not None
    variance = window.reward_variance if has_spread else None  # the means of a few batches scatter by chance
    lowest, highest = means["lowest"], means["highest"]
    if means["alike"] is None and lowest is not None and highest is not None:
        means["alike"] = 1.0 if math.isclose(lowest, highest) else 0.0
    scatters = [window.variances[name] for name in NAMES["kl"] if name in window.variances]
    least = means["kl"] - math.sqrt(max(scatters[0], 0.0)) if means["kl"] is not None and scatters else None
    held = {name: mean for name in held_out if (mean := window.mean(name)) is not None}
    return Seen(
        window.last_step,
        has_logs=window.logs > 0 and (not window.means or any(not name.startswith("eval_") for name in window.means)),
        variance=variance,
        spread=math.sqrt(max(variance, 0.0)) if variance is not None else None,
        kl_least=least,
        held_out=held,
        **means,
    )


def course_of(seen: Sequence[Seen], quantity: str) -> list[float]:
    """Return a quantity over the windows that say it, oldest first; nothing where the newest does not."""
    if not seen or getattr(seen[-1], quantity) is None:
        return []
    return [value for window in seen if (value := getattr(window, quantity)) is not None]


def _first(window: Window, names: tuple[str, ...]) -> float | None:
    return next((mean for name in names if (mean := window.mean(name)) is not None), None)


@define(eq=False)
class Followed:
    """The windows of a run; each is looked at once."""

    _windows: tuple[Window, ...] = ()
    _seen: tuple[Seen, ...] = ()
    _held_out: tuple[str, ...] = ()

    def follow(self, windows: tuple[Window, ...], held_out: tuple[str, ...]) -> tuple[Seen, ...]:
        """Return what the windows say, oldest first: those of before, with more, without some, or others."""
        known = dict(zip(map(id, self._windows), self._seen, strict=True)) if held_out == self._held_out else {}
        self._seen = tuple(known.get(id(window)) or seen_in(window, held_out) for window in windows)
        self._windows, self._held_out = windows, held_out
        return self._seen
