"""The evaluations of a run as far as they count: without what a rollback has undone."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

from attrs import frozen

from steersman import Window
from steersman_plugins.trends import noise

LOOKED_AT = 64
"""Windows that are looked at."""
_RECENT = 9
_LEAST = 0.03
"""Share of the first loss that is never more than chance."""


@frozen
class Point:
    """An evaluated window: its last step, the mean train loss in it (None where none was logged), the eval loss."""

    step: int
    train: float | None
    evaluated: float


@frozen
class Past:
    """The newest evaluations, oldest first, the first logged train loss, and the lowest eval loss of the whole run."""

    points: tuple[Point, ...]
    start: float | None
    lowest: float | None

    @property
    def evals(self) -> tuple[float, ...]:
        """The eval losses."""
        return tuple(p.evaluated for p in self.points)

    @property
    def trains(self) -> tuple[float, ...]:
        """The train losses, where there are any."""
        return tuple(p.train for p in self.points if p.train is not None)

    @property
    def progress(self) -> float:
        """The way from the first loss to the lowest, 0 where there was none."""
        first = self.start if self.start is not None else self.points[0].evaluated if self.points else 0.0
        low = min((*self.evals, self.lowest) if self.lowest is not None else self.evals, default=first)
        return max(first - low, 0.0)

    @property
    def noise(self) -> float:
        """Of the eval losses; 0 where there are too few."""
        return scatter(self.evals)

    def above_best(self, values: Sequence[float], noise_multiple: float, progress_share: float) -> float:
        """Return how far the newest of `values` is above the lowest before it, in units of what is explained."""
        earlier = values[:-1]
        if len(earlier) < 2:
            return 0.0
        limit = max(noise_multiple * scatter(earlier), progress_share * self.progress, _LEAST * abs(self.start or 0.0))
        return (values[-1] - min(earlier)) / limit if limit > 0 else 0.0


def past_of(
    windows: Sequence[Window], undone: Sequence[Sequence[int]], start: float | None, lowest: float | None
) -> Past:
    """Return what counts of `windows`; `undone` are the steps that rollbacks undid, as (after, up to and with)."""
    points = [
        Point(window.last_step, window.mean("loss"), evaluated)
        for window in windows[-LOOKED_AT:]
        if (evaluated := window.mean("eval_loss")) is not None
        and not any(after <= window.first_step and window.last_step <= to for after, to in undone)
    ]
    return Past(tuple(points), start, lowest)


def scatter(values: Sequence[float]) -> float:
    """Return how far neighbours lie apart by chance: the median absolute deviation of their differences.

    Where a course bends its differences differ without any chance, so that what remains of the second differences is
    taken where it is less. For independent values both are the same: second differences vary 3 times as much.
    """
    values = values[-_RECENT:]
    if len(values) < 4:
        return noise(tuple(values))
    steps = [b - a for a, b in itertools.pairwise(values)]
    return min(noise(tuple(values)), statistics.median(abs(b - a) for a, b in itertools.pairwise(steps)) / math.sqrt(3))
