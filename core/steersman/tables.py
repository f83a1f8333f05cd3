"""Records in columns: what many logs with the same keys share is kept once, and a Record made when asked for."""

from __future__ import annotations

import bisect
import itertools
import math
import operator
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, overload

from steersman.records import Kind, Record

_NEAR = 1e-6


class Table:
    """Logs of one layout: a row each, in the order in which they were logged, and a column for each metric.

    `epochs` is None where no row has one. `dropped` names what every row logged and is no number.
    """

    __slots__ = (
        "_covers",
        "_is_sorted",
        "_steady",
        "columns",
        "dropped",
        "epochs",
        "kind",
        "metrics",
        "names",
        "nonfinite",
        "steps",
    )

    def __init__(
        self,
        kind: Kind,
        steps: array[int],
        columns: Mapping[str, array[float]],
        epochs: array[float] | None = None,
        dropped: tuple[str, ...] = (),
    ) -> None:
        self.kind: Kind = kind
        self.steps, self.columns, self.epochs, self.dropped = steps, columns, epochs, dropped
        self.names, self.metrics = tuple(columns), frozenset(columns)
        self.nonfinite = frozenset(name for name, column in columns.items() if not are_finite(column))
        self._covers: array[int] | None = None
        self._steady: int | None = None
        self._is_sorted: bool | None = None

    def record(self, row: int) -> Record:
        """Return one row as a Record."""
        metrics = {name: column[row] for name, column in self.columns.items()}
        epoch = None if self.epochs is None else self.epochs[row]
        return Record(self.steps[row], self.kind, metrics, epoch, dropped=self.dropped)

    @property
    def covers(self) -> array[int]:
        """How many steps each row covers if the row before it was logged just before, at least 1; 1 for the first."""
        if self._covers is None:
            steps = self.steps
            covered = list(map(operator.sub, itertools.islice(steps, 1, None), steps))
            if covered and min(covered) < 1:
                covered = [max(steps_covered, 1) for steps_covered in covered]
            self._covers = array("q", (1, *covered))
        return self._covers

    @property
    def steady(self) -> int:
        """How many steps each row covers, but for the first, where all cover as many; else 0."""
        if self._steady is None:
            covered = self.covers[1:]
            self._steady = covered[0] if covered and covered.count(covered[0]) == len(covered) else 0
        return self._steady

    @property
    def is_sorted(self) -> bool:
        """Whether neither steps nor epochs go back."""
        if self._is_sorted is None:
            columns: list[Sequence[float]] = [self.steps] if self.epochs is None else [self.steps, self.epochs]
            self._is_sorted = all(all(map(operator.le, column, column[1:])) for column in columns)
        return self._is_sorted

    def first_at_step(self, step: int, start: int, stop: int) -> int:
        """Return the first of the rows from `start` whose step has reached `step`, or `stop`."""
        if self.is_sorted:
            return bisect.bisect_left(self.steps, step, start, stop)
        return next((row for row in range(start, stop) if self.steps[row] >= step), stop)

    def first_at_epoch(self, epoch: int, start: int, stop: int) -> int:
        """Return the first of the rows from `start` whose epoch has reached `epoch`, a whole number, or `stop`."""
        epochs = self.epochs
        if epochs is None:
            return stop
        if self.is_sorted:
            start = bisect.bisect_left(epochs, epoch - _NEAR, start, stop)
        while start < stop and not epochs[start] + 1e-9 >= epoch:
            start += 1
        return start

    def first_turn(self, name: str, start: int, stop: int, *, is_sick: bool) -> int:
        """Return the first of the rows from `start` that is finite where it `is_sick`, and not where it is not."""
        if name not in self.nonfinite:
            return start if is_sick else stop
        column = self.columns[name]
        return next((row for row in range(start, stop) if math.isfinite(column[row]) == is_sick), stop)


class Block(NamedTuple):
    """Rows of a table that were logged one after the other."""

    table: Table
    start: int
    stop: int


class Records(Sequence[Record]):
    """The records of a finished run, kept in blocks."""

    __slots__ = ("_ends", "blocks")

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.blocks = tuple(blocks)
        self._ends = tuple(itertools.accumulate(block.stop - block.start for block in self.blocks))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Record]:
        return (table.record(row) for table, start, stop in self.blocks for row in range(start, stop))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, index: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"there are {len(self)} records, and none at {index}")
        i = bisect.bisect_right(self._ends, at)
        table, _, stop = self.blocks[i]
        return table.record(stop - (self._ends[i] - at))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and tuple(self) == tuple(other)  # pyright: ignore[reportUnknownArgumentType]

    __hash__ = None  # type: ignore[assignment]


def are_finite(values: Sequence[float]) -> bool:
    """Whether no value is NaN or infinite."""
    return math.isfinite(sum(values)) or all(map(math.isfinite, values))
