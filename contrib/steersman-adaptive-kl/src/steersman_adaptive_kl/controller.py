"""The proportional controller of Ziegler et al. (2019), section 2.2, in log space."""

from __future__ import annotations

import math


def relative_error(kl: float, target: float) -> float:
    """Return (KL - target) / target: above 0 where the policy is further from the reference model than wanted."""
    return (kl - target) / target


def multiplier(error: float, *, gain: float, clip: float, updates: int, largest_change: float) -> float:
    """Return what the KL penalty is multiplied by after `updates` updates at the same error.

    One update is beta <- beta x (1 + gain x e), e = `error` kept within -`clip` and `clip`. The product of them all is
    kept within 1 / (1 + `largest_change`) and 1 + `largest_change`, so that as many steps up as down lead back.
    `gain` x `clip` must be below 1. Source: Ziegler et al. (2019), section 2.2.
    """
    e = min(max(error, -clip), clip)
    most = math.log1p(largest_change)
    return math.exp(min(max(updates * math.log1p(gain * e), -most), most))


def bounds(
    value: float, factor: float, *, at_least: float | None, at_most: float | None, reach: float
) -> tuple[float, float]:
    """Return the lowest and the highest penalty allowed: those given, else the user's own divided and times `reach`.

    `value` is the penalty in force and `factor` the product of every change so far, so their quotient is the user's.
    """
    own = value / factor
    return own / reach if at_least is None else at_least, own * reach if at_most is None else at_most
