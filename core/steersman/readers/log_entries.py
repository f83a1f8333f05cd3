"""The log of a trainer as tables: entries with the same keys are read together, key by key and not one by one."""

from __future__ import annotations

import functools
import itertools
from array import array
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TypeVar, cast

from attrs import frozen

from steersman.readers.json_numbers import Parsed, unmarked_text, unmarked_values
from steersman.readers.steps import step_told
from steersman.records import NOT_METRICS, Kind, is_other_evaluation, is_own, kind_of, number
from steersman.tables import Block, Records, Table

Entry = dict[str, object]
Keys = tuple[str, ...]
K = TypeVar("K", Keys, "tuple[Keys, tuple[bool, ...]]")
_NUMBERS = frozenset((int, float))
_LARGEST = 2**63 - 1
_MARKS = 2**62


@frozen
class _Layout:
    """What entries with the same keys are. `metrics` holds our name for each key that may be one of a metric."""

    kind: Kind
    metrics: tuple[tuple[str, str], ...]
    is_other_evaluation: bool
    ends_the_run: bool


class LogEntries:
    """Reads a log in portions. `names` maps a user's metric names onto ours."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = tuple((names or {}).items())
        self._layouts: dict[Keys, _Layout] = {}
        self._blocks: list[Block] = []
        self._ended_at: int | None = None
        self._step = 0

    def forget(self) -> None:
        """Begin anew."""
        self._blocks, self._ended_at, self._step = [], None, 0

    def records(self, *, inside_the_run: bool = False) -> Records:
        """Return what was read; with `inside_the_run` up to the final summary, if there is one."""
        return Records(self._blocks[: self._ended_at] if inside_the_run else self._blocks)

    def add(self, portion: Parsed) -> None:
        """Add a portion of the log: a list whose entries are objects; what is none is left out.

        An entry without a step is of the step before it.
        """
        entries = cast("list[Entry]", portion.value)
        if not {dict}.issuperset(map(type, entries)):
            entries = [entry for entry in entries if type(entry) is dict]
        steps = [entry.get("step") for entry in entries]
        if not {int}.issuperset(map(type, steps)) or (
            portion.is_marked and entries and max(cast("list[int]", steps)) >= _MARKS
        ):
            entries = _with_steps(entries, self._step, marked=portion.is_marked)
        self._step = cast("int", entries[-1]["step"]) if entries else self._step
        order, rows = _grouped(entries, cast("Callable[[Entry], Keys]", tuple))
        tables = {keys: self._table(keys, mine, marked=portion.is_marked) for keys, mine in rows.items()}
        mixed = {keys: _mixed(rows[keys]) for keys, table in tables.items() if table is None}
        if not mixed:
            self._lay(order, tables, {keys: self._layouts[keys] for keys in rows})
            return

        def keys_and_numbers(entry: Entry) -> tuple[Keys, tuple[bool, ...]]:
            keys = tuple(entry)
            return keys, tuple(type(entry[key]) in _NUMBERS for key in mixed.get(keys, ()))

        finer, parts = _grouped(entries, keys_and_numbers)
        made = {key: self._table(key[0], mine, marked=portion.is_marked) for key, mine in parts.items()}
        self._lay(finer, made, {key: self._layouts[key[0]] for key in parts})

    def _lay(
        self, order: Sequence[tuple[K, int, int]], tables: Mapping[K, Table | None], layouts: Mapping[K, _Layout]
    ) -> None:
        for key, start, stop in order:
            table, layout = tables[key], layouts[key]
            if table is not None and not layout.is_other_evaluation:
                self._blocks.append(Block(table, start, stop))
            if layout.ends_the_run:
                self._ended_at = len(self._blocks)

    def _table(self, keys: Keys, rows: Sequence[Entry], *, marked: bool) -> Table | None:
        """Return entries with the same keys as a table, or None where a key has numbers and other things."""
        layout = self._layouts.get(keys)
        if layout is None:
            layout = self._layouts[keys] = _layout_of(keys, self._names, marked=marked)
        columns: dict[str, array[float]] = {}
        dropped: list[str] = []
        for key, name in layout.metrics:
            column = _column(rows, key, marked=marked)
            if column is None:
                return None
            if column:
                columns[name] = column
            else:
                dropped.append(name)
        epochs = _column(rows, "epoch", marked=marked) if "epoch" in keys else array("d")
        if epochs is None:
            return None
        return Table(layout.kind, _steps(rows), columns, epochs or None, tuple(dropped))


@functools.lru_cache(maxsize=1024)  # runs of one kind have the same few layouts
def _layout_of(keys: Keys, ours: tuple[tuple[str, str], ...], *, marked: bool) -> _Layout:
    names = dict(ours)
    told = dict.fromkeys(map(unmarked_text, keys) if marked else keys)
    metrics = tuple(
        (key, names.get(name, name))
        for key, name in zip(keys, told, strict=True)
        if name not in NOT_METRICS and not is_own(name)
    )
    kind = kind_of(dict.fromkeys(name for _, name in metrics))
    return _Layout(kind, metrics, is_other_evaluation(told), kind_of(told) == "summary")


def _grouped(
    entries: Sequence[Entry], key_of: Callable[[Entry], K]
) -> tuple[list[tuple[K, int, int]], dict[K, list[Entry]]]:
    """Return which entries follow each other, as (key, from, to) within those of the same key, and the latter."""
    rows: dict[K, list[Entry]] = {}
    order: list[tuple[K, int, int]] = []
    for key, run in itertools.groupby(entries, key_of):
        mine = rows.setdefault(key, [])
        start = len(mine)
        mine.extend(run)
        order.append((key, start, len(mine)))
    return order, rows


def _with_steps(entries: Sequence[Entry], step: int, *, marked: bool) -> list[Entry]:
    """Return entries that all tell their step: that of the one before where it is missing, from `step` on."""
    found: list[Entry] = []
    for entry in entries:
        told = _step_told(entry.get("step"), marked=marked)
        step = step if told is None else told
        found.append({**entry, "step": step})
    return found


def _step_told(value: object, *, marked: bool) -> int | None:
    return step_told(unmarked_values([value])[0] if marked else value)


def _column(rows: Sequence[Entry], key: str, *, marked: bool) -> array[float] | None:
    """Return what a key holds as numbers: nothing where none is a number, None where some are."""
    values = list(map(itemgetter(key), rows))
    if bool in set(map(type, values)):  # which an array takes for numbers
        return None if any(type(value) in _NUMBERS for value in values) else array("d")
    try:
        column = array("d", cast("list[float]", values))
        if not marked or (column and max(column) < _MARKS and min(column) > -_MARKS):
            return column
        values = unmarked_values(values)
        return array("d", cast("list[float]", values))
    except (TypeError, OverflowError):
        values = unmarked_values(values) if marked else values
        numbers = [as_number for value in values if (as_number := number(value)) is not None]
        return array("d", numbers) if len(numbers) in (0, len(values)) else None


def _mixed(rows: Sequence[Entry]) -> Keys:
    """Return the keys that hold both numbers and other things."""
    return tuple(key for key in rows[0] if len({type(row[key]) in _NUMBERS for row in rows}) > 1)


def _steps(rows: Sequence[Entry]) -> array[int]:
    values = cast("list[int]", list(map(itemgetter("step"), rows)))
    try:
        return array("q", values)
    except OverflowError:
        return array("q", map(whole, values))


def whole(value: object) -> int:
    """Return a number without its fraction; 0 for what is no number, or none that counts steps."""
    as_number = number(value)
    return int(as_number) if as_number is not None and abs(as_number) < _LARGEST else 0
