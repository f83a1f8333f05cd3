"""Tables whose empty cells are NaN, as pandas writes them: a W&B history, `to_csv(na_rep="NaN")`.

There every row has every name, and what was not logged with it is NaN. Such a table shows itself: all metrics of a
stage are NaN beside others that are not, and have values again later; or a learning rate is NaN, which none ever is. A
loss that is NaN beside what is logged together with it, such as the learning rate, was logged, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field

from steersman.readers import names
from steersman.readers.names import Stage

Groups = tuple[tuple[Stage | None, tuple[str, ...]], ...]


@define
class Padding:
    """Looks for NaN that is no value; once it `is_known`, rows are `filled` with what was logged alone."""

    is_known: bool = False
    is_found: bool = False
    _absent: set[Stage] = field(factory=set[Stage])
    _together: set[frozenset[str]] = field(factory=set[frozenset[str]])
    _groups: dict[tuple[str, ...], Groups] = field(factory=dict[tuple[str, ...], Groups])

    @property
    def is_suspected(self) -> bool:
        """Whether a stage was absent from a row that others were in."""
        return self.is_found or bool(self._absent)

    @property
    def known(self) -> Padding:
        """The same, where it was found, for reading the table again."""
        return evolve(self, is_known=True)

    def look(self, row: Mapping[str, object]) -> None:
        """Look at a row: whether it, or one before, is shown to be padded, and what is logged together."""
        empty: set[Stage] = set()
        told: set[Stage] = set()
        for stage, keys in self._groups_of(tuple(row)):
            here = frozenset(key for key in keys if not _is_nan(row[key]))
            if here:
                self._together.add(here)
            if stage is not None and any(row[key] is not None for key in keys):
                (told if here else empty).add(stage)
            if stage == "train" and any(_is_rate(key) and key not in here for key in keys):
                self.is_found = True
        self.is_found = self.is_found or not self._absent.isdisjoint(told)
        if told:
            self._absent |= empty

    def filled(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """Return a row without what is absent from it; of a row that is all NaN the training stays."""
        groups = self._groups_of(tuple(row))
        here = {key for _, keys in groups for key in keys if not _is_nan(row[key])}
        absent = {key for stage, keys in groups for key in self._absent_from(stage, keys, here)}
        return {key: value for key, value in row.items() if key not in absent} if absent else row

    def _absent_from(self, stage: Stage | None, keys: Sequence[str], here: set[str]) -> Sequence[str]:
        """Return the keys of a stage that were not logged with those that are `here`."""
        if here.isdisjoint(keys):
            is_only_loss = stage == "train" and not here and not any(map(_is_rate, keys))
            return () if is_only_loss else keys
        logged = here.intersection(keys)
        return [key for key in keys if key not in here and self._is_logged_apart(key, logged)]

    def _is_logged_apart(self, key: str, logged: set[str]) -> bool:
        """Whether a key has values, and never together with one of these."""
        beside = [names for names in self._together if key in names]
        return _is_rate(key) or (bool(beside) and all(logged.isdisjoint(names) for names in beside))

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
    return value != value or value is None
