"""Which of many runs are shown: those whose choices differ most."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from itertools import count

from attrs import define, field

from steersman.results.run import ReplayedRun

MOST_RUNS = 30
"""Runs that are all shown."""
OF_MANY = 10
"""How many are shown of more."""


@define
class Picked:
    """Hears runs one by one and holds those that are shown: all of up to 30, else the 10 that differ most."""

    seen: int = field(default=0, init=False)
    _all: list[ReplayedRun] = field(factory=list[ReplayedRun], init=False)
    _most: list[tuple[float, int, ReplayedRun]] = field(factory=list[tuple[float, int, ReplayedRun]], init=False)
    _earlier: Iterator[int] = field(factory=lambda: count(0, -1), init=False)

    def add(self, run: ReplayedRun) -> None:
        """Hear one run; one that could not be read is not shown."""
        if run.error is not None:
            return
        self.seen += 1
        if self.seen <= MOST_RUNS:
            self._all.append(run)
        else:
            self._all.clear()
        heapq.heappush(self._most, (spread(run), next(self._earlier), run))
        if len(self._most) > OF_MANY:
            heapq.heappop(self._most)

    @property
    def of_many(self) -> bool:
        """Whether there are more runs than are shown."""
        return self.seen > MOST_RUNS

    @property
    def runs(self) -> tuple[ReplayedRun, ...]:
        """Those to show, in the order heard; of many, the one that differs most first."""
        most = sorted(self._most, key=lambda held: held[:2], reverse=True)
        return tuple(run for _, _, run in most) if self.of_many else tuple(self._all)


def spread(run: ReplayedRun) -> float:
    """Return how far the choices of a run lie apart, relative to the best: on the task metric that differs most.

    Where there is none, by the eval loss of the choices.
    """
    if run.task_metrics:
        return max(_apart([*metric.at.values()], metric.best) for metric in run.task_metrics)
    kept = (*run.choices.values(), run.lowest_eval_loss, run.last_evaluation)
    losses = [c.eval_loss for c in kept if c is not None and c.eval_loss is not None and math.isfinite(c.eval_loss)]
    return _apart(losses, min(losses, default=0.0))


def _apart(values: Sequence[float], best: float) -> float:
    return (max(values) - min(values)) / (abs(best) or 1.0) if values else 0.0
