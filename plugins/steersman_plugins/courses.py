"""The course of loss and reward over the windows of a run, followed window by window: nothing is worked out twice."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import overload

from attrs import define, field

from steersman import Window

_ENOUGH_LOGS = 20
"""From which on a variance three times the usual is hardly chance: 3 in 100 000 windows of normal rewards."""


class Course(Sequence[float]):
    """Values that come one by one, lower is better, with what `trends.setback` says of them, to the last digit."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._moves: list[float] = []  # between neighbours among all but the newest, in order of size
        self._lowest = 0.0  # among all but the newest

    def push(self, value: float) -> None:
        """Add the newest value."""
        values = self._values
        values.append(value)
        if len(values) == 2 or (len(values) > 2 and values[-2] < self._lowest):
            self._lowest = values[-2]
        if len(values) > 2:
            bisect.insort(self._moves, values[-2] - values[-3])

    def drop_oldest(self) -> None:
        """Forget the oldest value."""
        values = self._values
        if len(values) > 2:
            move = values[1] - values[0]
            del self._moves[bisect.bisect_left(self._moves, move)]
        oldest = values.pop(0)
        if oldest == self._lowest and len(values) > 1:
            self._lowest = min(values[:-1])

    def setback(self, noise_multiple: float, progress_share: float) -> tuple[float, float] | None:
        """Return how far the newest value lies above the lowest before it and how far is too far, where it is further.

        See `trends.setback`. None where it is no further than that, or where any way is too far.
        """
        if len(self._values) < 2:
            return None
        above = self._values[-1] - self._lowest
        progress = progress_share * (self._values[0] - self._lowest)
        if not above > progress:
            return None
        limit = max(noise_multiple * deviation(self._moves), progress)
        return (above, limit) if above > limit > 0 else None

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> list[float]: ...
    def __getitem__(self, index: int | slice) -> float | list[float]:
        return self._values[index]


@define(eq=False)
class Courses:
    """What is followed of a run: its losses, its rewards turned round, and the variances of its rewards."""

    losses: Course = field(factory=Course)
    falls: Course = field(factory=Course)
    variances: list[float] = field(factory=list[float])
    usual: list[float] = field(factory=list[float])
    """All variances but the newest, in order of size."""
    _windows: Sequence[Window] = ()

    def follow(self, windows: tuple[Window, ...]) -> None:
        """Go on to `windows`, at least one: those of before with one more and perhaps without the oldest, or anew."""
        before: Sequence[Window] = self._windows
        self._windows = windows
        longer = len(windows) - len(before)
        has_begin = len(before) > 1 and windows[0] is before[0]
        goes_on = longer in (0, 1) and len(before) > 1 and windows[-2] is before[-1]
        if longer == 0 and has_begin and windows[-1] is before[-1]:
            return
        if longer == 1 and has_begin and goes_on:
            self._push(windows[-1])
        elif longer == 0 and goes_on and windows[0] is before[1]:
            self._drop(before[0])
            self._push(windows[-1])
        else:
            self.losses, self.falls = Course(), Course()
            self.variances, self.usual = [], []
            for window in windows:
                self._push(window)

    def _push(self, window: Window) -> None:
        loss, reward = window.mean("loss"), window.mean("reward")
        if loss is not None:
            self.losses.push(loss)
        if reward is not None:
            self.falls.push(-reward)
        if (variance := _variance(window)) is not None:
            if self.variances:
                bisect.insort(self.usual, self.variances[-1])
            self.variances.append(variance)

    def _drop(self, window: Window) -> None:
        if window.mean("loss") is not None:
            self.losses.drop_oldest()
        if window.mean("reward") is not None:
            self.falls.drop_oldest()
        if _variance(window) is not None:
            oldest = self.variances.pop(0)
            if self.variances:
                del self.usual[bisect.bisect_left(self.usual, oldest)]


def _variance(window: Window) -> float | None:
    """Return the variance of the rewards where enough of them are known: within batches, or of that many logs."""
    is_known = window.mean("reward_std") is not None or window.logs >= _ENOUGH_LOGS
    return window.reward_variance if is_known and window.mean("reward") is not None else None


def deviation(ordered: Sequence[float]) -> float:
    """Return the median absolute deviation of values in order of size, 0 where there is none."""
    if not ordered:
        return 0.0
    half, is_odd = divmod(len(ordered), 2)
    middle = ordered[half] if is_odd else (ordered[half - 1] + ordered[half]) / 2
    below = bisect.bisect_left(ordered, middle)
    upper = _nearest(ordered, middle, below, half)
    return upper if is_odd else (_nearest(ordered, middle, below, half - 1) + upper) / 2


def _nearest(ordered: Sequence[float], middle: float, below: int, rank: int) -> float:
    """Return the distance to `middle` of the value at `rank` in order of distance; `below` values are less than it."""
    fewest, most = max(0, rank + 1 - (len(ordered) - below)), min(rank + 1, below)
    while fewest < most:  # how many of the nearest rank + 1 lie below
        taken = (fewest + most) // 2
        if middle - ordered[below - 1 - taken] < ordered[below + rank - taken] - middle:
            fewest = taken + 1
        else:
            most = taken
    above = rank + 1 - fewest
    return max(
        middle - ordered[below - fewest] if fewest else 0.0,
        ordered[below + above - 1] - middle if above else 0.0,
    )
