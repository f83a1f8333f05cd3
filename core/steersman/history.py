"""The metrics so far: a column per metric, bounded in memory, with whole-run count, minimum and latest."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from steersman.records import Record
from steersman.tables import Table

KEPT = 4096
"""How many of the newest values of a metric stay readable through `last`."""


class Series:
    """The values of one metric, oldest first; read-only for strategies.

    `count`, `min`, `argmin` (a step), `latest` and `latest_step` cover the whole run; `last` and `steps` reach back
    over at least the newest 4096 values.
    """

    __slots__ = ("_steps", "_values", "argmin", "count", "min", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.min: float | None = None
        self.argmin: int | None = None
        self._values = array("d")
        self._steps = array("q")

    @property
    def latest(self) -> float | None:
        return self._values[-1] if self._values else None

    @property
    def latest_step(self) -> int | None:
        return self._steps[-1] if self._steps else None

    def last(self, n: int = KEPT) -> tuple[float, ...]:
        """Return the newest `n` values, oldest of them first."""
        return tuple(self._values[-n:]) if n > 0 else ()

    def steps(self, n: int = KEPT) -> tuple[int, ...]:
        """Return the steps of the newest `n` values."""
        return tuple(self._steps[-n:]) if n > 0 else ()

    def finite(self) -> Finite:
        """Return a view that leaves out NaN and infinity."""
        return Finite(self)

    def backwards(self) -> Iterator[tuple[int, float]]:
        """Yield (step, value), newest first."""
        return zip(reversed(self._steps), reversed(self._values), strict=True)

    def __len__(self) -> int:
        return self.count


class Column(Series):
    """A series that grows."""

    __slots__ = ()

    def append(self, step: int, value: float) -> None:
        """Add a value; the oldest are forgotten beyond twice what stays readable."""
        self.count += 1
        if math.isfinite(value) and (self.min is None or value < self.min):
            self.min, self.argmin = value, step
        self._values.append(value)
        self._steps.append(step)
        self._forget()

    def extend(self, steps: array[int], values: array[float], *, are_finite: bool) -> None:
        """Add values, at least one, as `append` would one by one."""
        self.count += len(values)
        finite = values if are_finite else [value for value in values if math.isfinite(value)]
        if finite:
            lowest = min(finite)
            if self.min is None or lowest < self.min:
                self.min, self.argmin = lowest, steps[values.index(lowest)]
        self._values.extend(values)
        self._steps.extend(steps)
        self._forget()

    def _forget(self) -> None:
        if len(self._values) >= 2 * KEPT:
            oldest = (len(self._values) // KEPT - 1) * KEPT
            del self._values[:oldest], self._steps[:oldest]


class Finite:
    """The finite values of a series."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        self._series = series

    def last(self, n: int = KEPT) -> tuple[float, ...]:
        """Return the newest `n` finite values, oldest of them first."""
        return tuple(value for _, value in self.items(n))

    def items(self, n: int = KEPT) -> tuple[tuple[int, float], ...]:
        """Return the newest `n` finite values as (step, value), oldest of them first."""
        found: list[tuple[int, float]] = []
        for step, value in self._series.backwards():
            if len(found) >= n:
                break
            if math.isfinite(value):
                found.append((step, value))
        return tuple(reversed(found))

    @property
    def newest(self) -> tuple[int, float] | None:
        """The newest finite value as (step, value)."""
        series = self._series
        if series.latest is not None and series.latest_step is not None and math.isfinite(series.latest):
            return series.latest_step, series.latest
        return next(((step, value) for step, value in series.backwards() if math.isfinite(value)), None)

    @property
    def latest(self) -> float | None:
        newest = self.newest
        return None if newest is None else newest[1]

    def __len__(self) -> int:
        return sum(math.isfinite(value) for value in self._series.last())


class History:
    """A series for each metric; an empty one for a metric that never came, which is remembered in `missing`."""

    __slots__ = ("_columns", "missing")

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}
        self.missing: set[str] = set()

    def __getitem__(self, name: str) -> Series:
        column = self._columns.get(name)
        if column is None:
            self.missing.add(name)
            return Series(name)
        return column

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def names(self) -> tuple[str, ...]:
        """Return the names of every metric that came, in order of appearance."""
        return tuple(self._columns)


class WritableHistory(History):
    """The history as the supervisor sees it: strategies read, this adds."""

    __slots__ = ()

    def append(self, record: Record) -> None:
        """Add every metric of `record`."""
        for name, value in record.metrics.items():
            self.append_value(name, record.step, value)

    def extend(self, table: Table, start: int, stop: int) -> None:
        """Add every metric of rows of a table."""
        steps = table.steps[start:stop]
        for name, values in table.columns.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = Column(name)
            column.extend(steps, values[start:stop], are_finite=name not in table.nonfinite)

    def append_value(self, name: str, step: int, value: float) -> None:
        """Add one value of one metric."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = Column(name)
        column.append(step, value)
