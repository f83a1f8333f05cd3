"""The metrics so far: a column per metric, bounded in memory, with whole-run count, minimum and latest."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from steersman.records import Record
from steersman.tables import Table

KEPT = 4096
"""How many of the newest values of a metric stay readable through `last`."""

_LOOKED_BACK = 4
"""Of how many spans the newest value is read without taking them in."""


class Series:
    """The values of one metric, oldest first; read-only for strategies.

    `count`, `min`, `argmin` (a step), `latest` and `latest_step` cover the whole run; `last` and `steps` reach back
    over at least the newest 4096 values.
    """

    __slots__ = ("_argmin", "_count", "_min", "_steps", "_values", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._count = 0
        self._min: float | None = None
        self._argmin: int | None = None
        self._values = array("d")
        self._steps = array("q")

    def _catch_up(self) -> None:
        """Take in what is known and was not looked at so far: nothing, in a series that does not grow."""

    def newest(self) -> tuple[int, float] | None:
        """Return the newest value as (step, value)."""
        return (self._steps[-1], self._values[-1]) if self._values else None

    @property
    def count(self) -> int:
        self._catch_up()
        return self._count

    @property
    def min(self) -> float | None:
        self._catch_up()
        return self._min

    @property
    def argmin(self) -> int | None:
        self._catch_up()
        return self._argmin

    @property
    def latest(self) -> float | None:
        newest = self.newest()
        return None if newest is None else newest[1]

    @property
    def latest_step(self) -> int | None:
        newest = self.newest()
        return None if newest is None else newest[0]

    def last(self, n: int = KEPT) -> tuple[float, ...]:
        """Return the newest `n` values, oldest of them first."""
        self._catch_up()
        return tuple(self._values[-n:]) if n > 0 else ()

    def steps(self, n: int = KEPT) -> tuple[int, ...]:
        """Return the steps of the newest `n` values."""
        self._catch_up()
        return tuple(self._steps[-n:]) if n > 0 else ()

    def finite(self) -> Finite:
        """Return a view that leaves out NaN and infinity."""
        return Finite(self)

    def newest_finite(self) -> tuple[int, float] | None:
        """Return the newest value that is neither NaN nor infinite as (step, value), or None where there is none."""
        newest = self.newest()
        if newest is None or math.isfinite(newest[1]):
            return newest
        return next(((step, value) for step, value in self.backwards() if math.isfinite(value)), None)

    def backwards(self) -> Iterator[tuple[int, float]]:
        """Yield (step, value), newest first."""
        self._catch_up()
        return zip(reversed(self._steps), reversed(self._values), strict=True)

    def __len__(self) -> int:
        return self.count


class Span:
    """Rows of a table that came one after the other; more may follow."""

    __slots__ = ("start", "stop", "table")

    def __init__(self, table: Table, start: int, stop: int) -> None:
        self.table, self.start, self.stop = table, start, stop


class Column(Series):
    """A series that grows: value by value, or by the `spans` that come after it was made, once it is looked at."""

    __slots__ = ("_row", "_span", "_spans")

    def __init__(self, name: str, spans: list[Span]) -> None:
        super().__init__(name)
        self._spans, self._span, self._row = spans, len(spans), -1

    def append(self, step: int, value: float) -> None:
        """Add a value; the oldest are forgotten beyond twice what stays readable."""
        if self._span < len(self._spans):
            self._catch_up()
        self._count += 1
        if math.isfinite(value) and (self._min is None or value < self._min):
            self._min, self._argmin = value, step
        self._values.append(value)
        self._steps.append(step)
        if len(self._values) >= 2 * KEPT:
            self._forget()

    def _catch_up(self) -> None:
        spans = self._spans
        while self._span < len(spans):
            span = spans[self._span]
            start = max(self._row, span.start)
            if start < span.stop and self.name in span.table.columns:
                self._extend(span.table, start, span.stop)
            self._row = span.stop
            if span is spans[-1]:  # it may grow
                return
            self._span, self._row = self._span + 1, -1

    def newest(self) -> tuple[int, float] | None:
        spans, name = self._spans, self.name
        at = len(spans)
        first = max(self._span, at - _LOOKED_BACK)
        while at > first:
            at -= 1
            span = spans[at]
            if name in span.table.columns and (at > self._span or self._row < span.stop):
                return span.table.steps[span.stop - 1], span.table.columns[name][span.stop - 1]
        if first > self._span:
            self._catch_up()
        return (self._steps[-1], self._values[-1]) if self._values else None

    def _extend(self, table: Table, start: int, stop: int) -> None:
        """Add rows of a table, as `append` would one by one."""
        steps, values = table.steps[start:stop], table.columns[self.name][start:stop]
        self._count += len(values)
        is_finite = self.name not in table.nonfinite
        finite = values if is_finite else [value for value in values if math.isfinite(value)]
        if finite:
            lowest = min(finite)
            if self._min is None or lowest < self._min:
                self._min, self._argmin = lowest, steps[values.index(lowest)]
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
    def latest(self) -> float | None:
        newest = self._series.newest_finite()
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

    __slots__ = ("_spans", "_tables")

    def __init__(self) -> None:
        super().__init__()
        self._spans: list[Span] = []
        self._tables: set[Table] = set()

    def append(self, record: Record) -> None:
        """Add every metric of `record`."""
        for name, value in record.metrics.items():
            self.append_value(name, record.step, value)

    def extend(self, table: Table, start: int, stop: int) -> None:
        """Add every metric of rows of a table, which a series takes in when it is looked at."""
        if self._spans and self._spans[-1].table is table and self._spans[-1].stop == start:
            self._spans[-1].stop = stop
            return
        if table not in self._tables:
            for name in table.names:
                if name not in self._columns:
                    self._columns[name] = Column(name, self._spans)
            self._tables.add(table)
        self._spans.append(Span(table, start, stop))

    def append_value(self, name: str, step: int, value: float) -> None:
        """Add one value of one metric."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = Column(name, self._spans)
        column.append(step, value)
