"""When a check must be made out of turn: a watched metric has become NaN or infinite."""

from __future__ import annotations

from attrs import define, evolve, field

from steersman.records import Record
from steersman.windows import anomalies


@define
class Alarms:
    """Rings once when a metric falls sick, and again only after it was well."""

    is_ringing: bool = False
    _sick: set[str] = field(factory=set[str])
    _undone: int = -1

    def hear(self, record: Record) -> None:
        """Listen to one record."""
        sick = set(anomalies(record))
        self.is_ringing = self.is_ringing or bool(sick - self._sick)
        self._sick = (self._sick - set(record.metrics)) | sick

    def silence(self) -> None:
        """The step is closed, and what rang was looked at."""
        self.is_ringing = False

    def rolled_back(self, step: int) -> None:
        """Everything is well again; a loss that also covers the steps up to `step` tells nothing of what is now."""
        self._sick.clear()
        self._undone = step

    def without_undone(self, record: Record, last_log: int) -> Record:
        """Return a record without a loss that is the mean over steps a rollback undid, made since `last_log`."""
        if "loss" not in record.metrics or last_log >= self._undone:
            return record
        self._undone = -1
        return evolve(record, metrics={name: value for name, value in record.metrics.items() if name != "loss"})
