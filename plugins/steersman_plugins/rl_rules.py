"""The rules of `rl-health` on rewards: plain functions over what the windows say, newest last."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from attrs import field, frozen
from attrs.validators import ge, gt, le

from steersman import Finding
from steersman_plugins.rl_course import Seen, course_of
from steersman_plugins.trends import rising, setback

Range = tuple[float, float]
"""The lowest and the highest reward there can be."""


@frozen
class RlRules:
    """Thresholds of `rl-health`. All but shares and the two on KL are relative to the run's own history."""

    windows_needed: int = field(default=6, validator=ge(2))
    """Windows of history before one that can be judged by it."""
    newest: int = field(default=8, validator=ge(4))
    """How many of the newest windows a rule on a trend looks at."""
    sure: float = field(default=1.96, validator=gt(0))
    """z of the Mann-Kendall test from which on a course rises or falls; 1.96 is chance in 5 of 100."""
    noise_multiple: float = field(default=6.0, validator=gt(0))
    """How many times its noise a reward must lie below its best; noise is the median deviation of its steps."""
    progress_share: float = field(default=0.12, validator=gt(0))
    """Share of the progress so far that must be lost, too."""
    flat_share: float = field(default=0.01, validator=[gt(0), le(1)])
    """Share of the reward's rise within which a held-out score stands still, both beside the largest that was seen."""
    variance_multiple: float = field(default=3.0, validator=gt(1))
    """How many times its median the variance of the rewards must be to be high."""
    kl_ceiling: float = field(default=5.0, validator=gt(0))
    """KL to the reference model, as it is logged, that is a runaway whatever came before, at two windows running."""
    kl_floor: float = field(default=0.2, validator=gt(0))
    """KL up to which nothing runs away."""
    kl_multiple: float = field(default=4.0, validator=gt(1))
    """How many times its median before a KL must be to run away while the reward does not rise."""
    entropy_share: float = field(default=0.1, validator=[gt(0), le(1)])
    """Share of what it was at first below which the entropy has collapsed."""
    entropy_kept: float = field(default=0.6, validator=[gt(0), le(1)])
    """Share of the entropy of two windows before below which it collapses, where it fell much slower before that."""
    entropy_speeds_up: float = field(default=1.6, validator=ge(1))
    """How many times faster than in the two windows before it must then fall, as a share of what there is."""
    alike_share: float = field(default=0.9, validator=[gt(0), le(1)])
    """Share of groups with one reward throughout from which on too little is learned."""
    near: float = field(default=0.1, validator=[gt(0), le(1)])
    """Share of the range of rewards within which a reward is near its end."""
    limit_share: float = field(default=0.5, validator=[gt(0), le(1)])
    """Share of completions cut off at the limit from which on they are too long."""
    clip_share: float = field(default=0.3, validator=[gt(0), le(1)])
    """Share of clipped tokens from which on an update is mostly clipped."""

    def little(self, rewards: Sequence[float]) -> float:
        """Return a change of the reward that is little beside the range it has had."""
        return self.progress_share * (max(rewards) - min(rewards))


def missing(_: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that no reward came in two windows more than ever passed between two that had one, although logs came.

    Where every window had one, these are two windows running; rewards may come at generations only.
    """
    logged = [window for window in seen if window.has_logs]
    at = [number for number, window in enumerate(logged) if window.reward is not None]
    if len(at) < 2:
        return
    usual = max(newer - older - 1 for older, newer in itertools.pairwise(at))
    without, newest = len(logged) - 1 - at[-1], logged[at[-1]]
    if without >= usual + 2:
        said = (
            f"no reward in the newest {without} windows, though logs came; the newest reward came by step {newest.step}"
        )
        evidence: dict[str, float | str | None] = {
            "windows": without,
            "newest_step": newest.step,
            "reward": newest.reward,
        }
        yield Finding("reward-missing", said, "warning", evidence)


def declining(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that the reward is below its best by more than noise and progress explain, at two windows running."""
    falls = tuple(-reward for reward in course_of(seen, "reward"))
    if len(falls) <= r.windows_needed + 1:
        return
    below, limit = setback(falls, r.noise_multiple, r.progress_share)
    before, limit_before = setback(falls[:-1], r.noise_multiple, r.progress_share)
    if below > limit > 0 and before > limit_before:
        said = f"reward fell by {below:.4g} from its best, to {-falls[-1]:.4g}; noise and progress explain {limit:.4g}"
        yield Finding("reward-declining", said, "warning", {"reward": -falls[-1], "fell_by": below, "limit": limit})


def stagnant(r: RlRules, seen: Sequence[Seen], given: Range | None) -> Iterator[Finding]:
    """Yield that the reward stands still away from its best: a warning where the whole run shows no rise.

    Where it shows one it may have arrived, so that is for information, and only once half of the run is flat.
    """
    rewards = course_of(seen, "reward")
    flat = rewards[-max(r.newest, len(rewards) // 2) :]
    if len(rewards) < r.newest + 2 or not _is_flat(r, flat, rewards):
        return
    if given is not None and given[1] - flat[-1] <= r.near * (given[1] - given[0]):
        return
    moved, rose, without = halves(flat), fmean(flat) - rewards[0], rising(rewards) < r.sure
    said = f"reward {way(moved, flat[-1])} in {len(flat)} windows, no more; {_before(r, flat, rewards, without)}"
    evidence = {"reward": flat[-1], "change": moved, "windows": len(flat), "z": rising(flat), "rose_before": rose}
    yield Finding("reward-stagnant", said, "warning" if without else "info", evidence)


def _before(r: RlRules, flat: Sequence[float], rewards: Sequence[float], without: bool) -> str:
    """Return what the run shows beside its flat windows; `without` a sure rise over all of it."""
    if not without:
        rose = fmean(flat) - rewards[0]
        return f"it rose{f' by {rose:.4g}' if rose > 0 else ''} before, and may have arrived"
    best = max(rewards)
    risen = best > max(rewards[0], *flat) + r.little(rewards)
    fell = f", though it was at {best:.4g} once" if risen else ""
    return f"over all {len(rewards)} windows it shows no rise{fell}"


def _is_flat(r: RlRules, newest: Sequence[float], rewards: Sequence[float]) -> bool:
    """Whether the newest rewards show no trend, not even an unsure one, and moved by little of what was ever seen."""
    return abs(rising(newest)) < r.sure / 2 and abs(halves(newest)) <= r.little(rewards)


def variance(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that rewards scatter far more than usual, and more than they ever did, for two windows running."""
    course = course_of(seen, "variance")
    earlier = course[:-2]
    if len(earlier) < r.windows_needed:
        return
    usual, newest = median(earlier), min(course[-2:])
    if usual > 0 and newest > max(r.variance_multiple * usual, *earlier):
        rise = course[-1] - usual
        said = f"reward variance rose by {rise:.4g} to {course[-1]:.4g}, {course[-1] / usual:.3g} times its median"
        evidence = {"variance": course[-1], "rose_by": rise, "median": usual}
        yield Finding("reward-variance", said, "warning", evidence)


def without_held_out(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield each held-out score that stands still or falls while the reward rises, at two windows running."""
    for name in seen[-1].held_out:
        both = [(w.reward, w.held_out[name]) for w in seen if name in w.held_out and w.reward is not None]
        if len(both) <= r.newest or not (_parts(r, both) and _parts(r, both[:-1])):
            continue
        rewards, scores = zip(*both[-r.newest :], strict=True)
        gain, change, sureness = halves(rewards), halves(scores), rising(scores)
        fell = f"fell by {-change:.4g}, to" if sureness <= -r.sure else f"did not rise ({change:+.4g}), to"
        fell = "stood at" if _unseen(change, scores[-1]) else fell
        said = f"reward rose by {gain:.4g} in {r.newest} windows, while {name} {fell} {scores[-1]:.4g}"
        evidence: dict[str, float | str | None] = {
            "held_out": name, "reward_change": gain, "held_out_change": change, "held_out_z": sureness,
        }  # fmt: skip
        yield Finding("reward-without-held-out", said, "warning", evidence)


def _parts(r: RlRules, both: Sequence[tuple[float, float]]) -> bool:
    """Whether in the newest of these the reward surely rises, by more than little, and the held-out score does not.

    A score that moves by next to nothing beside the reward does not rise, however surely it creeps up.
    """
    rewards, scores = zip(*both[-r.newest :], strict=True)
    little = r.little([reward for reward, _ in both])
    gain = halves(rewards)
    if rising(rewards) < r.sure or gain < little:
        return False
    stands = max(scores) - min(scores) <= r.flat_share * gain / _largest(rewards) * _largest(scores)
    return stands or (halves(scores) <= 0 and rising(scores) <= 0)


def _largest(values: Sequence[float]) -> float:
    return max(map(abs, values))


def way(change: float, to: float, form: str = ".4g") -> str:
    """Return `rose by 0.1 to 0.5`, `fell by 0.1 to 0.5`, or `stood at 0.5` where the change cannot be seen."""
    if _unseen(change, to, form):
        return f"stood at {to:{form}}"
    return f"{'rose' if change > 0 else 'fell'} by {abs(change):{form}} to {to:{form}}"


def _unseen(change: float, to: float, form: str = ".4g") -> bool:
    """Whether a change is rounded to nothing, by itself or in what it leads to."""
    return not float(f"{abs(change):{form}}".rstrip("%")) or f"{to - change:{form}}" == f"{to:{form}}"


def halves(values: Sequence[float]) -> float:
    """Return the mean of the newer half less that of the older."""
    half = len(values) // 2
    return fmean(values[half:]) - fmean(values[:half])
