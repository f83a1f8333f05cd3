"""What figures over runs are: a mean with its interval, and how often one was better, equal, worse."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from attrs import frozen

from steersman.results.bootstrap import interval_of_mean


@frozen
class Mean:
    """A mean over runs; `low` and `high` are its 95 % bootstrap interval, None under two runs."""

    mean: float
    low: float | None
    high: float | None
    runs: int


@frozen
class Tally:
    """Of how many in a hundred the difference was below zero, none, above zero."""

    wins: float
    ties: float
    losses: float


def mean_of(values: Sequence[float]) -> Mean | None:
    """Return the mean of one value for each run; None of none. Runs are drawn again, nothing else."""
    if not values:
        return None
    low, high = interval_of_mean(values) or (None, None)
    return Mean(fmean(values), low, high, len(values))


def tally(differences: Sequence[float], least: float = 1e-9) -> Tally | None:
    """Return wins (below zero), ties and losses in percent; what is within `least` of zero is a tie. None of none."""
    if not differences:
        return None
    wins = sum(value < -least for value in differences)
    losses = sum(value > least for value in differences)
    count = len(differences) / 100
    return Tally(wins / count, (len(differences) - wins - losses) / count, losses / count)
