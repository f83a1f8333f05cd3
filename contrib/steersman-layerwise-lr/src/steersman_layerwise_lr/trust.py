"""The trust ratio of LARS and LAMB between parameter groups, and how far a factor moves towards it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from attrs import frozen


@frozen
class Norms:
    """The L2 norms of one parameter group: of its weights, and of its gradient or of the optimizer's update."""

    weight: float
    step: float


def trust_ratios(norms: Mapping[str, Norms]) -> dict[str, float]:
    """Return weight norm over step norm of each group: how far the group can go in its own measure.

    A group where either norm is 0 has none, as in LARS and LAMB: weights that begin at 0 (biases, LoRA's B) would
    never leave it. Weight decay is left out of the step. Sources: You, Gitman, Ginsburg (2017), equation 6; You et
    al. (2019), algorithm 2.
    """
    ratios = {name: n.weight / n.step for name, n in norms.items() if n.step > 0}
    return {name: ratio for name, ratio in ratios.items() if 0 < ratio < math.inf}


def wanted_factors(norms: Mapping[str, Norms], least: float, most: float) -> dict[str, float]:
    """Return each group's trust ratio over that of the median group, within `least` and `most`.

    The median is that of the logarithms, so that twice and half as much are as far from it. What multiplies the steps
    of all groups alike (a clip, a loss scale, the batch size) cancels out. Fewer than two groups have nothing to
    compare, so there is no factor.
    """
    logs = {name: math.log(ratio) for name, ratio in trust_ratios(norms).items()}
    if len(logs) < 2:
        return {}
    middle = median(logs.values())
    low, high = math.log(least), math.log(most)
    return {name: math.exp(min(max(log - middle, low), high)) for name, log in logs.items()}


def step_towards(wanted: float, factor: float, *, largest_change: float, deadband: float) -> float | None:
    """Return what `factor` is multiplied by to come nearer to `wanted`, or None where it is near enough.

    Near enough is within a factor of 1 + `deadband`; a step is at most 1 + `largest_change` up, and its inverse down.
    """
    distance = math.log(wanted / factor)
    if abs(distance) <= math.log1p(deadband):
        return None
    most = math.log1p(largest_change)
    return math.exp(min(max(distance, -most), most))
