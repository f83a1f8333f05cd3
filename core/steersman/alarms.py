"""When a check must be made out of turn: a watched metric has become NaN or infinite."""

from __future__ import annotations

from attrs import define, evolve, field

from steersman.records import Record
from steersman.tables import Table
from steersman.windows import WATCHED, anomalies

WATCHED_STEPS = "nonfinite_steps"
"""The metric that marks what was seen of a single step and logged by no trainer: how many steps were not finite."""


@define
class Alarms:
    """Rings once when a metric falls sick, and again only after it was well."""

    is_ringing: bool = False
    _sick: set[str] = field(factory=set[str])
    _undone: int = -1
    _spoiled: int = -1

    def hear(self, record: Record) -> None:
        """Listen to one record."""
        now = anomalies(record)
        if not now and not self._sick:
            return
        sick = set(now)
        self.is_ringing = self.is_ringing or bool(sick - self._sick)
        self._sick = (self._sick - set(record.metrics)) | sick

    @property
    def has_undone(self) -> bool:
        """Whether a rollback has undone steps that a record may tell of."""
        return self._spoiled >= 0

    def first_turn(self, table: Table, start: int, stop: int) -> int:
        """Return the first of the rows from `start` of train logs that must be heard by itself, or `stop`.

        There a watched metric falls sick or is well again, or sick logs without a loss leave open what they cover.
        """
        if not self._sick and not table.nonfinite:
            return stop
        for name in WATCHED:
            if name in table.columns:
                is_sick = name in self._sick
                if is_sick and "loss" not in table.columns:
                    return start
                stop = table.first_turn(name, start, stop, is_sick=is_sick)
        return stop

    def silence(self) -> None:
        """The step is closed, and what rang was looked at."""
        self.is_ringing = False

    def rolled_back(self, step: int, *, spoils_next: bool) -> None:
        """Everything is well again; a loss that also covers the steps up to `step` tells nothing of what is now.

        With `spoils_next` the step after was begun with the weights that were given up, and was not made.
        """
        self._sick.clear()
        self._undone, self._spoiled = step, step + spoils_next

    def without_undone(self, record: Record, last_log: int) -> Record:
        """Return a record without what tells of steps a rollback undid or spoiled: a mean loss over the steps since
        `last_log`, and what is NaN of a step that was not made.
        """
        if self._spoiled < 0:
            return record
        stale = {name for name in anomalies(record) if self._undone < record.step <= self._spoiled}
        if "loss" in record.metrics and last_log < self._spoiled and WATCHED_STEPS not in record.metrics:
            stale.add("loss")
        if not stale:
            return record
        return evolve(record, metrics={name: value for name, value in record.metrics.items() if name not in stale})
