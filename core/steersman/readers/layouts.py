"""What the names of one row of a log mean together, worked out once for all rows that have the same names."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, frozen

from steersman.readers import names
from steersman.readers.names import Stage

ORDER: tuple[Stage, ...] = ("train", "eval", "test", "summary")


@frozen
class Part:
    """The metrics of a row that are of one stage: the keys they are found by, and what we call them."""

    stage: Stage
    keys: tuple[str, ...]
    names: tuple[str, ...]


@define
class Layout:
    """Where a row of these names has its step, epoch and time, and its parts.

    `from_zero` is whether its steps count those finished before. `latest` is the step at which it came last.
    """

    step: str | None
    epoch: str | None
    elapsed: str | None
    parts: tuple[Part, ...]
    metrics: frozenset[str]
    from_zero: bool = False
    latest: int = -1


def layout_of(keys: tuple[str, ...]) -> Layout:
    """Return the layout of a row with these keys.

    A metric whose name tells no stage is of the evaluation where the row has one and no training metric.
    """
    stages = {key: _stage(key, is_summary=names.is_summary(keys)) for key in keys if names.is_metric(key)}
    told = set(stages.values()) - {None}
    default: Stage = "eval" if told == {"eval"} else "test" if told == {"test"} else "train"
    parts: list[Part] = []
    for stage in ORDER:
        found = _named([key for key, of in stages.items() if (of or default) == stage], stage)
        if found:
            parts.append(Part(stage, tuple(found), tuple(found.values())))
    step = _first(names.STEPS, keys)
    return Layout(
        step,
        _first(names.EPOCHS, keys),
        _first(names.ELAPSED, keys),
        tuple(parts),
        frozenset(stages),
        step in names.FROM_ZERO,
    )


def _stage(key: str, *, is_summary: bool) -> Stage | None:
    return "summary" if is_summary and names.in_summary(key) else names.stage(key)


def _named(keys: Iterable[str], stage: Stage) -> dict[str, str]:
    """Return our name of each key; where two would be called the same, the later keeps its own."""
    found: dict[str, str] = {}
    for key in keys:
        name = names.ours(key, stage) if stage != "summary" else names.in_summary(key) or key
        found[key] = key if name in found.values() else name
    return found


def _first(wanted: Iterable[str], keys: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in keys), None)
