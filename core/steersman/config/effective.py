"""The config that is in force, whole: each value, each option of each strategy, and where it came from."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
from attrs import field, frozen

from steersman.config.entries import OURS
from steersman.config.origins import held, origin_of, origin_of_entry
from steersman.config.schema import Config, Use
from steersman.config.structuring import options_of

_LONG = 5
"""A table with more options than this that nobody touched is left out unless asked for."""


@frozen
class Leaf:
    """A plain value and where it came from."""

    value: Any
    origin: str


@frozen
class Table:
    """Values by key, and where the table itself came from; `left_out` are the keys whose default is not shown."""

    origin: str
    values: Mapping[str, Leaf | Table] = field(factory=dict[str, "Leaf | Table"])
    left_out: tuple[str, ...] = ()


@frozen
class Entry:
    """A strategy as `use:` names it, with its options; `is_object` where Python gave it as an object."""

    written: str
    name: str
    options: Table
    is_object: bool = False


@frozen
class Effective:
    """A whole config: the values at its top, and the strategies under `use` in their order."""

    values: Table
    use: tuple[Entry, ...]


@frozen
class _Tree:
    """Makes tables of values: what was `given` as it was given, all else as it is, each with its origin."""

    origin: Callable[[tuple[str, ...]], str | None]
    default: str
    given: Mapping[str, Any] = field(factory=dict[str, Any])
    whole: bool = False

    def of(self, value: Any, path: tuple[str, ...], *, sparse: bool = True) -> Leaf | Table:
        """Return a value as a leaf or a table; a long `sparse` table has only what somebody said."""
        is_given, given = held(self.given, path)
        origin = self.origin(path) or self.default
        if is_given and not isinstance(given, Mapping):
            return Leaf(given, origin)
        children = _children(value)
        if children is None:
            return Leaf(plain(value), origin)
        is_long = sparse and not isinstance(value, Mapping) and len(children) > _LONG and not self.whole
        left_out = tuple(name for name in children if is_long and self.origin((*path, name)) is None)
        shown = {name: self.of(child, (*path, name)) for name, child in children.items() if name not in left_out}
        return Table(origin, shown, left_out)


def effective(config: Config, strategies: Mapping[str, object], *, whole: bool) -> Effective:
    """Return the config with every default; `strategies` are the objects by name in the run.

    Long tables of options are shown as far as somebody said something in them, or `whole`.
    """
    tree = _Tree(lambda path: origin_of(config.layers, *path), "default", whole=whole)
    options = options_of(Config).items()
    values = {name: tree.of(getattr(config, option.name), (name,), sparse=False) for name, option in options}
    if "score" in config.raw:
        values["score"] = tree.of(config.raw["score"], ("score",))
    written = cast("list[object]", config.raw.get("use", []))
    use = [use for use in config.use if use.index >= 0]
    entries = tuple(_entry(u, written[u.index], strategies[u.name], config, whole=whole) for u in use)
    return Effective(Table("default", values), entries)


def _entry(use: Use, written: object, strategy: object, config: Config, *, whole: bool) -> Entry:
    origin = origin_of_entry(config.layers, use.name) or "default"
    if use.instance is not None:
        return Entry(use.target, use.name, Table(origin), is_object=True)
    [(key, said)] = cast("Mapping[object, Any]", written if isinstance(written, Mapping) else {written: {}}).items()
    renamed = cast("Mapping[str, str]", getattr(strategy, "renamed_options", {}))
    old = {new: name for name, new in renamed.items() if name in (said or {})}
    given = {renamed.get(name, name): value for name, value in cast("Mapping[str, Any]", said or {}).items()}

    def origin_in(path: tuple[str, ...]) -> str | None:
        as_said = (old.get(path[0], path[0]), *path[1:])
        return origin_of_entry(config.layers, use.name, *as_said) if held(given, path)[0] else None

    tree = _Tree(origin_in, f"default of {use.target.rpartition(':')[2]}", given, whole)
    options = _children(strategy) or {}
    ours = {name: getattr(use, name) for name in OURS if name in given}
    if ours.get("time_budget") == math.inf:
        ours["time_budget"] = None
    shown = {name: tree.of(value, (name,)) for name, value in {**options, **ours}.items()}
    empty = tuple(n for n, node in shown.items() if isinstance(node, Table) and node.left_out and not node.values)
    return Entry(str(key), use.name, Table(origin, {n: v for n, v in shown.items() if n not in empty}, empty))


def _children(value: object) -> dict[str, Any] | None:
    cls = type(value)
    if attrs.has(cls):
        return {name: getattr(value, option.name) for name, option in options_of(cls).items()}
    if isinstance(value, Mapping) and value:
        return {str(key): item for key, item in cast("Mapping[object, Any]", value).items()}
    return None


def plain(value: Any) -> Any:
    """Return a value as text, number, truth value, None, list or table; all else as text."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in cast("set[Any]", value)), key=str)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    children = _children(value)
    if children is not None or isinstance(value, Mapping):
        return {key: plain(item) for key, item in (children or {}).items()}
    return value if value is None or isinstance(value, str | int | float) else str(value)
