"""What a window is made of: stretches of logs with the same metrics, kept as they came until a figure is asked for."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from steersman.figures import Figures
from steersman.moments import Moments, mean_of, moments_of, plain_mean_of
from steersman.tables import Table, are_finite


class Rows:
    """Logs heard one by one. It `grows` until it is closed, and then is held in columns."""

    __slots__ = ("_columns", "_rows", "metrics", "names", "nonfinite", "weights")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names, self.metrics = names, frozenset(names)
        self.weights: Sequence[int] = []
        self.nonfinite: frozenset[str] = frozenset()
        self._rows: list[tuple[float, ...]] = []
        self._columns: dict[str, array[float]] | None = None

    @property
    def grows(self) -> bool:
        """Whether it has not been closed."""
        return self._columns is None

    is_even = False
    """Whether each row is known to cover as many steps as any other."""

    @property
    def size(self) -> int:
        """How many values it holds."""
        return len(self.names) * len(self.weights)

    def add(self, values: tuple[float, ...], covers: int) -> None:
        """Add one log."""
        self._rows.append(values)
        self.weights.append(covers)  # type: ignore[attr-defined]

    def close(self) -> None:
        """Let it grow no more."""
        if self._columns is None:
            columns = zip(self.names, zip(*self._rows, strict=True), strict=True)
            self._columns = {name: array("d", column) for name, column in columns}
            self.nonfinite = frozenset(name for name, column in self._columns.items() if not are_finite(column))
            self._rows, self.weights = [], array("q", self.weights)

    def values(self, name: str) -> Sequence[float]:
        """Return one column."""
        return self._columns[name] if self._columns is not None else ()


class Slice:
    """Rows of a table, logged one after the other; the first covers `first` steps."""

    __slots__ = ("_first", "_start", "_stop", "_table", "_weights", "metrics", "names", "nonfinite")

    def __init__(self, table: Table, start: int, stop: int, first: int) -> None:
        self.names, self.metrics, self.nonfinite = table.names, table.metrics, table.nonfinite
        self._table, self._start, self._stop, self._first = table, start, stop, first
        self._weights: array[int] | None = None

    @property
    def is_even(self) -> bool:
        """Whether each row is known to cover as many steps as any other."""
        return self._stop - self._start == 1 or self._first == self._table.steady

    size = 0
    """How many values it holds itself: none."""

    def close(self) -> None:
        """It does not grow."""

    @property
    def weights(self) -> Sequence[int]:
        """How many steps each row covers."""
        if self._weights is None:
            self._weights = self._table.covers[self._start : self._stop]
            self._weights[0] = self._first
        return self._weights

    def values(self, name: str) -> Sequence[float]:
        """Return one column."""
        return self._table.columns[name][self._start : self._stop]


Piece = Rows | Slice


@frozen
class Folded:
    """What is kept of logs that are not: moments of each metric, None without a finite value; the rest is counted."""

    moments: Mapping[str, Moments | None] = field(factory=dict[str, "Moments | None"])
    nonfinite: Mapping[str, int] = field(factory=dict[str, int])


NOTHING = Folded()
_ALL_FINITE = Figures[int]({})


class Contents:
    """What a closed window holds: what was folded before, and pieces."""

    __slots__ = ("_folded", "_pieces")

    def __init__(self, pieces: Sequence[Piece], folded: Folded) -> None:
        self._pieces, self._folded = pieces, folded

    @property
    def size(self) -> int:
        """How many values it holds that nobody else does."""
        size = 0
        for piece in self._pieces:
            size += piece.size
        return size

    def nonfinite(self) -> Figures[int]:
        """Return how many values of each metric are NaN or infinite, where any is, counted when it is asked for."""
        if not self._folded.nonfinite:
            for piece in self._pieces:
                if piece.nonfinite:
                    break
            else:
                return _ALL_FINITE
        return Figures({}, self._sick, self._count)

    def _sick(self) -> tuple[str, ...]:
        return tuple(name for name in self._all_names() if self._count(name))

    def _count(self, name: str) -> int | None:
        count = self._folded.nonfinite.get(name, 0)
        for piece in self._pieces:
            if name in piece.nonfinite:
                values = piece.values(name)
                count += len(values) - sum(map(math.isfinite, values))
        return count or None

    def means(self) -> Figures[float]:
        """Return the mean of each metric with a finite value, worked out when it is asked for."""
        return Figures({}, self._names, self._mean)

    def variances(self) -> Figures[float]:
        """Return the variance of each metric with a finite value, worked out when it is asked for."""
        return Figures({}, self._names, self._variance)

    def folded(self) -> Folded:
        """Return all of it as moments alone."""
        return Folded({name: self._moments(name) for name in self._all_names()}, dict(self.nonfinite()))

    def _all_names(self) -> tuple[str, ...]:
        names = (*self._folded.moments, *(name for piece in self._pieces for name in piece.names))
        return tuple(dict.fromkeys(names))

    def _names(self) -> tuple[str, ...]:
        doubtful = frozenset(self._folded.moments).union(*(piece.nonfinite for piece in self._pieces))
        return tuple(name for name in self._all_names() if name not in doubtful or self._mean(name) is not None)

    def _mean(self, name: str) -> float | None:
        if name in self._folded.moments:
            moments = self._moments(name)
            return None if moments is None else moments.mean
        only: Piece | None = None
        for piece in self._pieces:
            if name in piece.metrics:
                if only is not None or name in piece.nonfinite:
                    break
                only = piece
        else:
            if only is None:
                return None
            return plain_mean_of(only.values(name)) if only.is_even else mean_of(only.values(name), only.weights)
        values, weights = self._finite(name)
        return mean_of(values, weights) if values else None

    def _variance(self, name: str) -> float | None:
        moments = self._moments(name)
        return None if moments is None else moments.variance

    def _moments(self, name: str) -> Moments | None:
        values, weights = self._finite(name)
        before, now = self._folded.moments.get(name), moments_of(values, weights) if values else None
        return before.joined(now) if before is not None and now is not None else before or now

    def _finite(self, name: str) -> tuple[Sequence[float], Sequence[int]]:
        """Return the finite values of a metric with their weights."""
        mine = [piece for piece in self._pieces if name in piece.metrics]
        if not mine:
            return (), ()
        if len(mine) == 1 and name not in mine[0].nonfinite:
            return mine[0].values(name), mine[0].weights
        values, weights = array("d"), array("q")
        for piece in mine:
            if name not in piece.nonfinite:
                values.extend(piece.values(name))
                weights.extend(piece.weights)
                continue
            for value, weight in zip(piece.values(name), piece.weights, strict=True):
                if math.isfinite(value):
                    values.append(value)
                    weights.append(weight)
        return values, weights
