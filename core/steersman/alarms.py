"""When a check must be made out of turn: a watched metric has become NaN or infinite."""

from __future__ import annotations

import math

from attrs import define, evolve, field

from steersman.records import Record
from steersman.windows import anomalies


@define
class Alarms:
    """Rings once when a metric falls sick, and again only after it was well."""

    is_ringing: bool = False
    _sick: set[str] = field(factory=set[str])
    _covers_undone_steps: bool = False

    def hear(self, record: Record) -> None:
        """Listen to one record."""
        sick = set(anomalies(record))
        self.is_ringing = self.is_ringing or bool(sick - self._sick)
        self._sick = (self._sick - set(record.metrics)) | sick

    def silence(self) -> None:
        """The step is closed, and what rang was looked at."""
        self.is_ringing = False

    def rolled_back(self) -> None:
        """Everything is well again; the next mean loss still covers steps that were undone."""
        self._sick.clear()
        self._covers_undone_steps = True

    def without_undone(self, record: Record) -> Record:
        """Return a record without a loss that is NaN because of steps a rollback undid."""
        if not self._covers_undone_steps or "loss" not in record.metrics:
            return record
        self._covers_undone_steps = False
        if math.isfinite(record.metrics["loss"]):
            return record
        return evolve(record, metrics={name: value for name, value in record.metrics.items() if name != "loss"})
