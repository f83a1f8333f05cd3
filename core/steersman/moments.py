"""Means and variances weighted by the steps that each log covers, the same however the logs are dealt out.

Sums are exact before they are rounded once (`math.fsum`), so neither order nor grouping of the values shows in them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

from attrs import frozen


@frozen
class Moments:
    """Weight, weighted mean, and weighted sum of the squared deviations from it."""

    weight: int
    mean: float
    squares: float

    @property
    def variance(self) -> float:
        """Population variance."""
        return self.squares / self.weight

    def joined(self, later: Moments) -> Moments:
        """Return the moments of both sets of values (Chan, Golub and LeVeque 1979)."""
        weight = self.weight + later.weight
        share, apart = later.weight / weight, later.mean - self.mean
        squares = self.squares + later.squares + apart * apart * (self.weight * share)
        return Moments(weight, self.mean + apart * share, squares)


def mean_of(values: Sequence[float], weights: Sequence[int]) -> float:
    """Return the weighted mean of one or more finite values; where all weigh the same it is their plain mean.

    It is never outside of them: the mean of equal values is their value, however it is rounded.
    """
    if _are_alike(weights):
        return plain_mean_of(values)
    return _inside(_sum(map(operator.mul, values, weights)) / sum(weights), values, weights)


def plain_mean_of(values: Sequence[float]) -> float:
    """Return the mean of one or more finite values that weigh the same."""
    if len(values) == 1:
        return values[0] + 0.0  # a sum knows no negative zero
    return _inside(_sum(values) / len(values), values, None)


def _inside(mean: float, values: Sequence[float], weights: Sequence[int] | None) -> float:
    first, last = values[0], values[-1]
    if first < mean < last or last < mean < first:
        return mean
    if math.isfinite(mean):
        return min(max(mean, min(values)), max(values))
    largest = max(map(abs, values))  # the sum is no float, though the mean is one
    shares = [value / largest for value in values]
    return largest * (plain_mean_of(shares) if weights is None else mean_of(shares, weights))


def moments_of(values: Sequence[float], weights: Sequence[int]) -> Moments:
    """Return the moments of one or more finite values."""
    mean, weight = mean_of(values, weights), sum(weights)
    squares = [(value - mean) * (value - mean) for value in values]
    if _are_alike(weights):
        return Moments(weight, mean, _sum(squares) / len(squares) * weight)
    return Moments(weight, mean, _sum(map(operator.mul, squares, weights)))


def _are_alike(weights: Sequence[int]) -> bool:
    return weights.count(weights[0]) == len(weights)


def _sum(values: Iterable[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # beyond every float; infinities of both signs
        return math.inf
