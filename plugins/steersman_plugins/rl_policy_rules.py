"""The rules of `rl-health` on the policy: its KL, entropy, groups, completions and clipped updates, newest last."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from steersman import Finding
from steersman_plugins.rl_course import Seen, course_of
from steersman_plugins.rl_rules import Range, RlRules, way

_NEAR_THE_LONGEST = 0.9
_TO_SEE_A_FALL = 5


def kl_runaway(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that the policy runs away from its reference: beyond the ceiling, or far beyond before for no reward.

    Most logs of two windows running must show it, not the mean alone.
    """
    kls, least, rewards = course_of(seen, "kl"), course_of(seen, "kl_least"), course_of(seen, "reward")
    if len(least) < 2:
        return
    kl, lowest, earlier, before = kls[-1], min(least[-2:]), kls[-2 - r.newest : -2], rewards[-2 - r.newest : -2]
    if lowest > r.kl_ceiling:
        said = f"KL {way(kl - kls[0], kl)}, above {r.kl_ceiling:g}"
        yield Finding("kl-runaway", said, "critical", {"kl": kl, "change": kl - kls[0], "ceiling": r.kl_ceiling})
    elif min(len(earlier), len(before)) >= r.windows_needed:
        usual, gain = median(earlier), fmean(rewards[-2:]) - median(before)
        if lowest > max(r.kl_floor, r.kl_multiple * usual) and gain <= r.little(rewards):
            said = f"KL rose by {kl - usual:.4g} to {kl:.4g} for a change of the reward of {gain:+.4g}"
            evidence = {"kl": kl, "rose_by": kl - usual, "median_before": usual, "reward_change": gain}
            yield Finding("kl-runaway", said, "critical", evidence)


def entropy_collapse(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that the entropy has fallen to a small share of what it was at first, twice running, or is falling there.

    It is where two windows took much of it, and far more than the two before: in a run that learns they take less.
    """
    course = course_of(seen, "entropy")
    first, newest = max(course[:2], default=0.0), course[-1] if course else 0.0
    if len(course) >= _TO_SEE_A_FALL and 0 < newest < first / 2:
        before, middle = course[-5], course[-3]
        is_fall = newest < r.entropy_kept * middle and 0 < middle < before
        if is_fall and math.log(middle / newest) > r.entropy_speeds_up * math.log(before / middle):
            said = (
                f"entropy fell by {middle - newest:.4g} to {newest:.4g} in two windows, "
                f"ever faster: {newest / first:.1%} of what it was at first"
            )
            evidence = {"entropy": newest, "fell_by": middle - newest, "first": first}
            yield Finding("entropy-collapse", said, "warning", evidence)
            return
    if len(course) > r.windows_needed and max(course[-2:]) < r.entropy_share * first:
        said = f"entropy fell by {first - newest:.4g} to {newest:.4g}, {newest / first:.1%} of what it was at first"
        evidence = {"entropy": newest, "fell_by": first - newest, "first": first}
        yield Finding("entropy-collapse", said, "warning", evidence)


def groups(r: RlRules, seen: Sequence[Seen], given: Range | None) -> Iterator[Finding]:
    """Yield that nearly every group has one reward throughout: all right, all wrong, or, where that is unknown, alike.

    Right is near the highest reward: that `given`, else the highest seen; wrong is near the lowest. Without a range
    that is given, rewards that differ much between groups are neither.
    """
    shares, reward = course_of(seen, "alike"), seen[-1].reward
    if len(shares) < 2 or min(shares[-2:]) < r.alike_share or reward is None:
        return
    low, high = given or _seen_range(seen)
    span, spread = high - low, seen[-1].spread
    evidence: dict[str, float | str | None] = {
        "share": shares[-1], "change": shares[-1] - shares[0], "reward": reward, "lowest": low, "highest": high,
        "spread": spread,
    }  # fmt: skip
    begin = f"groups with one reward throughout {way(shares[-1] - shares[0], shares[-1], '.0%')} of all"
    can_tell = span > 0 and (given is not None or spread is None or spread <= 0.4 * span)
    if can_tell and high - reward <= r.near * span:
        said = f"{begin}; reward {reward:.4g} is near the highest, {high:.4g}: all right, there is no more to learn"
        yield Finding("groups-all-right", said, "info", evidence)
    elif can_tell and reward - low <= r.near * span:
        said = f"{begin}; reward {reward:.4g} is near the lowest, {low:.4g}: all wrong, nothing is learned"
        yield Finding("groups-all-wrong", said, "warning", evidence)
    else:
        said = f"{begin}; reward {reward:.4g}: all alike, and whether right or wrong cannot be told"
        yield Finding("groups-all-alike", said, "warning", evidence)


def _seen_range(seen: Sequence[Seen]) -> Range:
    """Return the lowest mean reward seen, and the highest, that of a single completion where it is known."""
    rewards, highest = course_of(seen, "reward"), course_of(seen, "highest")
    return min(rewards), max((*rewards, *highest))


def at_limit(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that completions have grown to the limit, where many are cut off, at two windows running."""
    shares = course_of(seen, "at_limit")
    if not shares:
        yield from _at_longest(r, seen)
    elif len(shares) > 2 and min(shares[-2:]) >= r.limit_share:
        rise = shares[-1] - min(shares[:-2])
        if rise >= r.limit_share / 2:
            said = f"completions cut off at the limit rose by {rise:.0%} to {shares[-1]:.0%} of all"
            yield Finding("completions-at-limit", said, "warning", {"share": shares[-1], "rose_by": rise})


def _at_longest(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield the same of a log without that share: the mean length has come near the longest, which stands still."""
    lengths, longest = course_of(seen, "length"), course_of(seen, "longest")
    if len(longest) <= r.windows_needed or len(lengths) != len(longest):
        return
    limit, rise = max(longest), lengths[-1] - min(lengths[:-2])
    stands = min(longest[-3:]) >= limit
    if stands and min(lengths[-2:]) >= _NEAR_THE_LONGEST * limit and rise >= (1 - _NEAR_THE_LONGEST) * limit:
        said = f"completions grew by {rise:.4g} to {lengths[-1]:.4g} tokens; the longest stand at {limit:.4g}"
        yield Finding("completions-at-limit", said, "warning", {"length": lengths[-1], "rose_by": rise, "limit": limit})


def clip_saturation(r: RlRules, seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield that a large share of the tokens is clipped on average over two windows."""
    shares = course_of(seen, "clipped")
    if len(shares) < 2 or fmean(shares[-2:]) < r.clip_share:
        return
    rise = shares[-1] - shares[0]
    said = f"the share of clipped tokens, whose update is lost, {way(rise, shares[-1], '.0%')}"
    yield Finding("clip-saturation", said, "warning", {"share": shares[-1], "change": rise})
