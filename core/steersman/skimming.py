"""The fast way through the log of a run that is over: train logs of which nothing follows are taken in together."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from steersman.alarms import Alarms
from steersman.history import WritableHistory
from steersman.journaling import DROPPED_TOLD
from steersman.records import Record
from steersman.registry import Registry
from steersman.run import Progress
from steersman.schedule import Due
from steersman.tables import Block, Records, Table
from steersman.windows import Windows


@define(eq=False)
class Position:
    """Where the loop stands between two records.

    `open` is the step whose records are coming, `evaluated` whether one of them was an evaluation, `settled` the newest
    step that was closed. `dropped` names the metrics that are no numbers and were told; `undone` are the steps at whose
    checks the run was rolled back.
    """

    open: int | None = None
    evaluated: bool = False
    settled: int = -1
    dropped: set[str] = field(factory=set[str])
    undone: list[int] = field(factory=list[int])


@define(eq=False)
class Skimming:
    """Hears the records of a table, as the loop would one by one.

    `settle` closes the open step, `hear` takes one record, which stands in a row of its table: what the loop does.
    """

    at: Position
    history: WritableHistory
    windows: Windows
    progress: Progress
    due: Due
    alarms: Alarms
    registry: Registry
    settle: Callable[[], None]
    hear: Callable[[Record, Block], object]

    def feed(self, records: Records) -> None:
        """Hear every record in order."""
        hear = self.hear
        for block in records.blocks:
            table, start, stop = block
            if stop - start == 1 and table.kind != "train":
                hear(table.record(start), block)
                continue
            while start < stop:
                end = self._skim(table, start, stop) if table.kind == "train" else start
                if end == start:
                    end += 1
                    hear(table.record(start), Block(table, start, end))
                start = end

    def _skim(self, table: Table, start: int, stop: int) -> int:
        """Take rows in up to where something may follow; return the first that is left."""
        at, alarms, progress = self.at, self.alarms, self.progress
        if table.steps[start] != at.open:
            self.settle()
        if at.evaluated or alarms.is_ringing or alarms.has_undone or self.registry.is_waiting:
            return start
        if table.dropped and not at.dropped.issuperset(table.dropped) and len(at.dropped) < DROPPED_TOLD:
            return start
        stop = self.due.quiet_until(table, start, stop, progress.epoch)
        stop = alarms.first_turn(table, start, stop)
        if stop > start:
            progress.skim(table, stop - 1)
            self.history.extend(table, start, stop)
            self.windows.extend(table, start, stop)
            at.open = step = table.steps[stop - 1]
            before = stop - 2
            while before > start and table.steps[before] == step:
                before -= 1
            if before >= start and table.steps[before] != step:
                at.settled = table.steps[before]
        return stop
