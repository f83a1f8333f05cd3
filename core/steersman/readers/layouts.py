"""What the names of one row of a log mean together, worked out once for all rows that have the same names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from attrs import define, evolve, frozen

from steersman.readers import names
from steersman.readers.names import Stage
from steersman.records import is_own

ORDER: tuple[Stage, ...] = ("train", "eval", "test", "summary")


@frozen
class Part:
    """The metrics of a row that are of one stage: their names in the log, ours, and how they are picked from a row."""

    stage: Stage
    keys: tuple[str, ...]
    names: tuple[str, ...]
    pick: Callable[[Any], Sequence[object]]


@define
class Layout:
    """Where a row of these names has its step, epoch and time, and its parts.

    Each is the key of a row that is a mapping, or the place in one that is a sequence. `from_zero` is whether its steps
    count those finished before, `counts_rows` whether they may count what was logged. `latest` is the step at which it
    came last.
    """

    step: str | int | None
    epoch: str | int | None
    elapsed: str | int | None
    parts: tuple[Part, ...]
    metrics: frozenset[str]
    from_zero: bool = False
    counts_rows: bool = False
    latest: int = -1


def layout_of(keys: tuple[str, ...], own: Mapping[str, str] | None = None) -> Layout:
    """Return the layout of a row with these keys. `own` is the user's mapping of names, which comes before ours.

    A metric whose name tells no stage is of the evaluation where the row has one and no training metric.
    """
    own = own or {}
    is_summary = names.is_summary(keys)
    stages = {key: _stage(key, own.get(key), is_summary) for key in keys if key in own or names.is_metric(key)}
    told = set(stages.values()) - {None}
    default: Stage = "eval" if told == {"eval"} else "test" if told == {"test"} else "train"
    parts: list[Part] = []
    for stage in ORDER:
        found = _named([key for key, of in stages.items() if (of or default) == stage], stage, own)
        if found:
            parts.append(Part(stage, tuple(found), tuple(found.values()), _pick(tuple(found))))
    step = _first(names.STEPS, keys)
    return Layout(
        step,
        _first(names.EPOCHS, keys),
        _first(names.ELAPSED, keys),
        tuple(parts),
        frozenset(stages),
        step in names.FROM_ZERO,
        step == names.OF_ROWS,
    )


def by_place(layout: Layout, keys: tuple[str, ...]) -> Layout:
    """Return the layout of rows that are sequences of values in the order of `keys`."""
    at = {key: i for i, key in enumerate(keys)}
    parts = tuple(evolve(part, pick=_pick(tuple(at[key] for key in part.keys))) for part in layout.parts)
    step, epoch, elapsed = (at.get(str(key)) for key in (layout.step, layout.epoch, layout.elapsed))
    return evolve(layout, step=step, epoch=epoch, elapsed=elapsed, parts=parts)


def _pick(keys: Sequence[str | int]) -> Callable[[Any], Sequence[object]]:
    pick = itemgetter(*keys)
    return pick if len(keys) > 1 else lambda row: (pick(row),)


def _stage(key: str, called: str | None, is_summary: bool) -> Stage | None:
    if called is not None and (told := names.stage(called)):
        return told
    return "summary" if is_summary and names.in_summary(key) else names.stage(key)


def _named(keys: Sequence[str], stage: Stage, own: Mapping[str, str]) -> dict[str, str]:
    """Return our name of each key; of two for one name, the key that is called so already has it, else the first.

    What Steersman itself logged is left out.
    """
    found: dict[str, str] = {}
    for key in keys:
        name = (
            own[key] if key in own else names.ours(key, stage) if stage != "summary" else names.in_summary(key) or key
        )
        if not is_own(name):
            is_taken = name in found.values() or (name != key and name in keys)
            found[key] = key if is_taken else name
    return found


def _first(wanted: Iterable[str], keys: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in keys), None)
