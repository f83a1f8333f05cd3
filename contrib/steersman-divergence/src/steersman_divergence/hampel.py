"""The Hampel identifier on a series that falls: what lies too far above the level of the values before it.

The level is the end of a resistant line through them, and their scatter is the median absolute deviation from that
line. A plain median lags behind a falling loss by as much as it fell, and its deviation holds that fall.
Sources: Hampel (1974), The influence curve and its role in robust estimation; Davies and Gather (1993), The
identification of multiple outliers; for the line Velleman and Hoaglin (1981), Applications, basics and computing of
exploratory data analysis, chapter 5.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from attrs import evolve, field, frozen

MAD_TO_SIGMA = 1.4826
"""The standard deviation of a normal distribution is this times its median absolute deviation."""


def _tuple(values: tuple[float, ...] | list[float]) -> tuple[float, ...]:
    return tuple(values)


@frozen
class Limits:
    """How far is too far: `multiple` of the deviation, and at least `least` or `least_share` of the progress so far.

    `needed` values come first; the newest `window` are looked at. `sustained` values in a row are more than a spike.
    """

    multiple: float
    needed: int
    window: int
    sustained: int
    least: float = 0.0
    least_share: float = 0.0


@frozen
class Spike:
    """A value above its limit, and the level it is measured from."""

    step: int
    value: float
    level: float
    limit: float


@frozen
class Track:
    """What is remembered of a series, newest last: the values that were no outliers, and the outliers in a row.

    `spikes` counts the outliers since the track was last looked at, `worst` is the highest of them.
    `diverged_at` is the step of the first of `sustained` outliers in a row, until the values come back.
    """

    recent: tuple[float, ...] = field(default=(), converter=_tuple)
    away: tuple[float, ...] = field(default=(), converter=_tuple)
    first: float | None = None
    lowest: float | None = None
    away_since: int = -1
    spikes: int = 0
    worst: Spike | None = None
    diverged_at: int | None = None

    def looked_at(self) -> Track:
        """Return the track after a check: outliers are told once, a divergence as long as it lasts."""
        return evolve(self, spikes=0, worst=None, diverged_at=self.diverged_at if self.away else None)


def level_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return where the newest of at least three values would lie, and their standard deviation around that course.

    The slope is that between the medians of the outer thirds. Only a fall is followed: a rise is what is looked for.
    """
    third, last = len(values) // 3, len(values) - 1
    run = last - (third - 1)  # from the middle of the one third to that of the other
    slope = min(statistics.median(values[-third:]) - statistics.median(values[:third]), 0.0) / run
    flat = [value - slope * i for i, value in enumerate(values)]
    middle = statistics.median(flat)
    return middle + slope * last, MAD_TO_SIGMA * statistics.median(abs(value - middle) for value in flat)


def limit_of(track: Track, limits: Limits) -> tuple[float, float] | None:
    """Return the level and what is too far above it; None before `needed` values and where they have no scatter.

    Where more than half of the values are the same their median deviation is 0, which is no measure of anything.
    """
    if len(track.recent) < limits.needed or track.first is None or track.lowest is None:
        return None
    level, deviation = level_and_deviation(track.recent)
    if not (0 < deviation < math.inf and math.isfinite(level)):
        return None
    progress = limits.least_share * (track.first - track.lowest)
    return level, level + max(limits.multiple * deviation, limits.least, progress)


def advance(track: Track, step: int, value: float, limits: Limits) -> Track:
    """Return the track with one more finite value; lower is better.

    Outliers do not enter the values they are measured by, so that a run that has left its level stays noticed. After
    `window` of them in a row the new level is the level.
    """
    found = limit_of(track, limits)
    if found is None or value <= found[1]:
        return evolve(
            track,
            recent=(*track.recent, value)[-limits.window :],
            away=(),
            first=value if track.first is None else track.first,
            lowest=value if track.lowest is None else min(track.lowest, value),
            diverged_at=None if track.away else track.diverged_at,
        )
    away, since = (*track.away, value), track.away_since if track.away else step
    spike = Spike(step, value, *found)
    moved = evolve(
        track,
        away=away,
        away_since=since,
        spikes=track.spikes + 1,
        worst=spike if track.worst is None or value > track.worst.value else track.worst,
        diverged_at=since if len(away) >= limits.sustained else track.diverged_at,
    )
    return evolve(moved, recent=away, away=()) if len(away) >= limits.window else moved
