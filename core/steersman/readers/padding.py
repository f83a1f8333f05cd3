"""Tables whose empty cells are NaN, as pandas writes them: a W&B history, `to_csv(na_rep="NaN")`.

There every row has every name, and what was not logged with it is NaN. Such a table shows itself: all metrics of a
stage are NaN beside others that are not, and have values again later; or a learning rate is NaN, which none ever is. A
loss that is NaN beside a finite learning rate of the same stage was logged, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, field

from steersman.readers import names
from steersman.readers.names import Stage

Groups = tuple[tuple[Stage | None, tuple[str, ...]], ...]


class Padded(Exception):
    """The table turned out to be padded with NaN: it is to be read as one."""


@define
class Padding:
    """Looks for NaN that is no value; once it `is_known`, rows are `filled` with what was logged alone."""

    is_known: bool = False
    _absent: set[Stage] = field(factory=set[Stage])
    _groups: dict[tuple[str, ...], Groups] = field(factory=dict[tuple[str, ...], Groups])

    @property
    def is_suspected(self) -> bool:
        """Whether a stage was absent from a row that others were in."""
        return bool(self._absent)

    def look(self, row: Mapping[str, object]) -> None:
        """Look at a row. Raises Padded where it, or one before, is shown to be padded."""
        empty, has_values = self._stages(row)
        if "train" in empty and self._has_rate(row):
            raise Padded
        told = {stage for stage in has_values if stage is not None}
        if not self._absent.isdisjoint(told):
            raise Padded
        if told:
            self._absent.update(stage for stage in empty if stage is not None)

    def filled(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """Return a row without the stages that are absent from it; of a row that is all NaN the training stays."""
        empty, has_values = self._stages(row)
        absent = set(empty)
        if not has_values and not self._has_rate(row):
            absent = absent - {"train"} if "train" in absent else set[Stage | None]()
        if not absent:
            return row
        left_out = {key for stage, keys in self._groups_of(tuple(row)) if stage in absent for key in keys}
        return {key: value for key, value in row.items() if key not in left_out}

    def _has_rate(self, row: Mapping[str, object]) -> bool:
        """Whether the training of a row has a learning rate."""
        keys = tuple(row)
        return any(_is_rate(key) for stage, of in self._groups_of(keys) if stage == "train" for key in of)

    def _stages(self, row: Mapping[str, object]) -> tuple[list[Stage | None], list[Stage | None]]:
        """Return the stages that are all NaN in a row, and those that have a value."""
        empty: list[Stage | None] = []
        has_values: list[Stage | None] = []
        for stage, keys in self._groups_of(tuple(row)):
            values = [row[key] for key in keys if row[key] is not None]
            if values:
                (empty if all(map(_is_nan, values)) else has_values).append(stage)
        return empty, has_values

    def _groups_of(self, keys: tuple[str, ...]) -> Groups:
        groups = self._groups.get(keys)
        if groups is None:
            is_summary = names.is_summary(keys)
            found: dict[Stage | None, list[str]] = {}
            for key in filter(names.is_metric, keys):
                stage = "summary" if is_summary and names.in_summary(key) else names.stage(key)
                found.setdefault(stage, []).append(key)
            groups = self._groups[keys] = tuple((stage, tuple(of)) for stage, of in found.items())
        return groups


def has_nan(values: Sequence[float]) -> bool:
    """Whether one of these numbers is NaN."""
    total = sum(values)
    return total != total and any(map(_is_nan, values))


def _is_rate(key: str) -> bool:
    return names.ours(key, "train") == "learning_rate"


def _is_nan(value: object) -> bool:
    return value != value
