"""One value of a config from the environment: `STEERSMAN__RAILS__BUDGET=3` is `rails: {budget: 3}` over all else."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs
import yaml

from steersman.config.entries import handling, used
from steersman.config.layers import Layer
from steersman.config.schema import KEYS, Config
from steersman.config.structuring import options_of
from steersman.config.yaml_text import loads, told
from steersman.hyperparameters import SAFER
from steersman.spelling import did_you_mean

PREFIX = "STEERSMAN__"


def variables(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the variables that set a value, a table before what is in it; an empty one is as if it were not there."""
    return sorted((name, text) for name, text in environment.items() if name.startswith(PREFIX) and text.strip())


def named(variable: str) -> str:
    """Return what the layer of a variable is called."""
    return f"environment variable {variable}"


def layer_of(variable: str, text: str, below: Mapping[str, Any], folder: Path, problems: list[str]) -> Layer | None:
    """Return what a variable says over the config `below` of `folder`; None where it cannot be told.

    Its faults are appended to `problems`. An option of a strategy is a table under `use`, by the name in the run.
    """
    first, *rest = [part.lower() for part in variable.removeprefix(PREFIX).split("__")]
    if "" in (first, *rest):
        problems.append(f"expected {PREFIX}KEY or {PREFIX}KEY__KEY, with a name on each side of `__`")
        return None
    key = _spelled(first, KEYS)
    if key is None:
        problems.append(f"there is no key {first!r}{did_you_mean(first, KEYS)}")
        return None
    if key == "extends":
        problems.append("a variable lies over the whole config, so it extends nothing; write `extends` into a file")
        return None
    try:
        value = text if text.lstrip().startswith(">") else loads(text)  # a comparison, and no folded text
    except (yaml.YAMLError, ValueError) as error:
        problems.append(told(error))
        return None
    values = _in_use(rest, value, below, problems) if key == "use" else _in_table(key, rest, value, below, problems)
    return None if values is None else Layer(named(variable), values, folder)


def _in_use(
    parts: list[str], value: object, below: Mapping[str, Any], problems: list[str]
) -> Mapping[str, object] | None:
    """Return what a variable makes of `use`: the whole list, or options by the name of their strategy in the run."""
    if not parts:
        used({"use": value}, problems)
        return {"use": cast("object", value)} if isinstance(value, list) else None
    strategies = {use.name: use for use in used({"use": below.get("use", [])}, [])}
    name = _spelled(parts[0], strategies)
    if name is None:
        near = did_you_mean(parts[0].replace("_", "-"), strategies) or f"; it names {', '.join(strategies) or 'none'}"
        problems.append(f"`use` names no strategy {parts[0]!r}{near}")
        return None
    use = strategies[name]
    at = f"$.use[{use.index}].{name}"
    if use.instance is not None:
        problems.append(f"{at}: it was given as an object, which has its options already")
        return None
    way = _way(parts[1:], Mapping[str, Any], use.options, at, problems)
    if way is None:
        return None
    options = _nested(way, value)
    if not isinstance(options, Mapping):
        problems.append(f"{at}: expected a table of options, got {options!r}")
        return None
    table = cast("Mapping[str, Any]", options)
    handling(table, at, problems)
    return {"use": {name: table}}


def _in_table(
    key: str, parts: list[str], value: object, below: Mapping[str, Any], problems: list[str]
) -> Mapping[str, object] | None:
    types = {name: a.type for name, a in options_of(attrs.resolve_types(Config)).items()}
    known = SAFER if key == "hyperparameters" else ()
    way = _way(parts, types.get(key, Mapping[str, Any]), below.get(key), f"$.{key}", problems, known)
    return None if way is None else {key: _nested(way, value)}


def _way(
    parts: list[str], type_: Any, held: object, at: str, problems: list[str], known: Iterable[str] = ()
) -> list[str] | None:
    """Return the way into a table from `at`, in the spelling of the config that holds it or of the table's class."""
    way: list[str] = []
    for part in parts:
        if _leads_nowhere(type_, held):
            problems.append(f"{at}: it is no table, so there is no {part!r} in it")
            return None
        table: Mapping[str, object] = cast("Mapping[str, object]", held) if isinstance(held, Mapping) else {}
        options = options_of(attrs.resolve_types(type_)) if attrs.has(type_) else None
        names = (*table, *known) if options is None else (*options,)
        name = _spelled(part, names)
        if name is None and options is not None:
            problems.append(f"{at}: there is no key {part!r}{did_you_mean(part, names)}")
            return None
        name = part if name is None else name
        type_ = (*typing.get_args(type_), Any, Any)[1] if options is None else options[name].type
        way, held, at, known = [*way, name], table.get(name), f"{at}.{name}", ()
    return way


def _nested(way: Iterable[str], value: object) -> object:
    for name in reversed([*way]):
        value = {name: value}
    return value


def _leads_nowhere(type_: Any, held: object) -> bool:
    """Whether nothing can be below a value: its type is no table, or it is something else already."""
    origin = typing.get_origin(type_)
    is_table = type_ is Any or attrs.has(type_) or (isinstance(origin, type) and issubclass(origin, Mapping))
    return not is_table or (held is not None and not isinstance(held, Mapping))


def _spelled(part: str, known: Iterable[str]) -> str | None:
    """Return the known name that a part of a variable stands for: in any case, with `_` for `-`."""
    return next((name for name in known if name.replace("-", "_").lower() == part), None)
