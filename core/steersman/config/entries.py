"""The entries of `use:`: which strategy each names, under which name, with which options."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from attrs import field, frozen

from steersman.config.layers import merge
from steersman.config.schema import Use
from steersman.config.structuring import options_of, structure
from steersman.validating import within


@frozen
class Handling:
    """The keys that are Steersman's own beside a strategy's options."""

    on_error: Literal["quarantine", "raise", "stop"] | None = None
    """What its failure leads to, in place of what holds for all: `quarantine`, `raise` or `stop`."""
    time_budget: float | None = field(default=None, validator=within(0.0, open_below=True))
    """Seconds that a hook of it may take, in place of what holds for all; null is no limit."""


OURS = (*options_of(Handling),)


_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Between the words of a class name; an acronym is one word."""


def used(values: Mapping[str, Any], problems: list[str]) -> tuple[Use, ...]:
    """Return the strategies of a config in the order in which they are asked: `score` first, then those of `use`."""
    entries: object = values.get("use", [])
    if not isinstance(entries, list | tuple):
        problems.append(f"$.use: expected a list of strategies, got {entries!r}")
        entries = []
    score = weights_of(values.get("score"))
    scorers = [] if score is None else [Use("score", "score", {"metrics": score}, index=-1)]
    made = [use for i, entry in enumerate(cast("list[object]", entries)) if (use := _use(entry, i, problems))]
    names = [use.name for use in (*scorers, *made)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"$.use: {name!r} is named twice; give one a name of its own: `{name} as other-name`")
    return (*scorers, *made)


def weights_of(score: object) -> object:
    """Return the weights of a `score:` section; None where it is not there, or only requires something."""
    if not isinstance(score, Mapping):
        return score
    table = cast("Mapping[str, object]", score)
    weights = {name: weight for name, weight in table.items() if name != "require"}
    return table if "require" not in table else weights or None


def name_of(entry: object) -> str | None:
    """Return what an entry is called in the run; None where it is no sound entry."""
    use = _use(entry, 0, [])
    return use.name if use else None


def handling(options: Mapping[str, Any], path: str, problems: list[str]) -> Handling:
    """Return Steersman's own keys of an entry; `null` as its `time_budget` is no limit."""
    given = {key: options[key] for key in OURS if key in options}
    if "time_budget" in given and given["time_budget"] is None:
        given["time_budget"] = math.inf
    return (structure(given, Handling, path, problems) if given else None) or Handling()


def _use(entry: object, index: int, problems: list[str]) -> Use | None:
    path = f"$.use[{index}]"
    options: object = dict[str, object]()
    if isinstance(entry, Mapping):
        items = list(cast("Mapping[object, object]", entry).items())
        if len(items) != 1:
            problems.append(f"{path}: expected one strategy with its options, got {len(items)} names")
            return None
        entry, options = items[0][0], items[0][1] if items[0][1] is not None else {}
    if isinstance(entry, int | float | list | tuple | type(None)):
        problems.append(f"{path}: expected the name of a strategy, got {entry!r}")
        return None
    if not isinstance(entry, str):
        if options:
            problems.append(f"{path}: an object takes no options here; give them to {type(entry).__qualname__} itself")
            return None
        name = _WORDS.sub("-", type(entry).__name__).lower()
        return Use(target=type(entry).__qualname__, name=name, instance=entry, index=index)
    if not isinstance(options, Mapping):
        problems.append(f"{path}.{entry}: expected a table of options, got {options!r}")
        return None
    target, renamed, name = (part.strip() for part in f"{entry} ".partition(" as "))
    if renamed and not name:
        problems.append(f"{path}: {entry!r} gives no name after `as`")
        return None
    own = name or (target.rpartition(":")[2] if ".py:" in target else target)
    given = cast("Mapping[str, Any]", options)
    ours = handling(given, f"{path}.{own}", problems)
    rest = {key: value for key, value in given.items() if key not in OURS}
    return Use(target, own, rest, None, index, ours.on_error, ours.time_budget)


def names_in(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the strategies of a config are called in its run."""
    return tuple(use.name for use in used(values, []))


def overridden(values: Mapping[str, Any], below: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with a `use` that is a table of options by name laid over the entries of the config `below`."""
    over: object = values.get("use")
    if not isinstance(over, Mapping):
        return dict(values)
    by_name = cast("Mapping[str | None, Mapping[str, Any]]", over)
    entries = cast("list[object]", below.get("use", []))
    return {**values, "use": [_with(entry, by_name.get(name_of(entry), {})) for entry in entries]}


def _with(entry: object, over: Mapping[str, Any]) -> object:
    if not over or not isinstance(entry, Mapping):
        return {entry: dict(over)} if over else entry
    [(key, options)] = cast("Mapping[object, Mapping[str, Any] | None]", entry).items()
    return {key: merge(options or {}, over)}


def anchored(values: Mapping[str, Any], where: Path, folder: Path) -> dict[str, Any]:
    """Return a config of the folder `where` whose in-house files are found from `folder` as well."""
    entries: object = values.get("use")
    if where == folder or not isinstance(entries, list):
        return dict(values)

    def moved(entry: object) -> object:
        if isinstance(entry, Mapping):
            return {moved(name): options for name, options in cast("Mapping[object, object]", entry).items()}
        return str(where / entry) if isinstance(entry, str) and ".py:" in entry else entry

    return {**values, "use": [moved(entry) for entry in cast("list[object]", entries)]}
