"""A config to paste that uses a strategy: what it needs, a few options at their defaults, the rest as comments."""

from __future__ import annotations

import enum
import types
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs
from attrs import frozen

from steersman.config.effective import plain
from steersman.config.options import default_of, resolved
from steersman.config.restrictions import Restriction, restriction_of
from steersman.config.structuring import structure
from steersman.config.type_words import unwrapped
from steersman.config.yaml_text import dumps
from steersman.secrets import Secret

_SHOWN = 3
"""How many options that are not required are shown as more than a comment."""


@frozen
class Example:
    """YAML for a config, and what must still be filled in before it loads: sentences, most often none."""

    text: str
    problems: tuple[str, ...] = ()


def example_for(target: str, cls: type[Any]) -> Example:
    """Return a config that uses the strategy `target` of that class."""
    options = resolved(cls)
    values = {name: _value(option) for name, option in options.items()}
    problems: list[str] = []
    structure(values, cls, target, problems) if options else None
    if problems:  # an empty table or list may be what it refuses
        filled = {name: value or example_of(options[name].type, Restriction()) for name, value in values.items()}
        if structure(filled, cls, target, []) is not None:
            values, problems = filled, []
    return Example("\n".join(["use:", *_entry(target, options, values)]) + "\n", tuple(problems))


def _entry(target: str, options: Mapping[str, attrs.Attribute[Any]], values: Mapping[str, Any]) -> Iterator[str]:
    changed = [name for name, option in options.items() if values[name] != default_of(option)]
    small = [name for name in options if name not in changed and not isinstance(values[name], dict)]
    shown = [name for name in options if name in (*changed, *small[:_SHOWN])]
    yield f"  - {dumps(target)}:" if options else f"  - {dumps(target)}"
    for name in shown:
        yield from _lines(name, values[name], "      ")
    for name in options:
        if name not in shown:
            yield from _lines(name, values[name], "      # ")


def _lines(name: str, value: object, indent: str) -> Iterator[str]:
    inner = _table(value)
    yield f"{indent}{dumps(name)}:" if inner else f"{indent}{dumps(name)}: {dumps(value)}"
    for key, item in inner.items():
        yield from _lines(key, item, f"{indent}  ")


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _value(option: attrs.Attribute[Any]) -> Any:
    default = default_of(option)
    return example_of(option.type, restriction_of(option.validator)) if default is attrs.NOTHING else default


def example_of(type_: Any, restriction: Restriction) -> Any:
    """Return a plain value of a type that keeps to a restriction as far as that is numbers or choices."""
    if restriction.one_of:
        return restriction.one_of[0]
    type_ = unwrapped(type_)
    origin: Any = get_origin(type_)
    if origin is Literal:
        return get_args(type_)[0]
    if origin in (Union, types.UnionType):
        return example_of(get_args(type_)[0], restriction)
    kind: Any = origin or type_
    if kind is Secret:
        return {"env": "NAME"}
    if kind is bool:
        return True
    if kind in (int, float):
        return kind(_number(restriction, 1 if kind is int else 0.5))
    if not isinstance(kind, type) or kind is str:
        return "text"
    kind = cast("type[Any]", kind)
    arguments: tuple[Any, ...] = get_args(type_)
    if issubclass(kind, enum.Enum):
        return plain(next(iter(kind)))
    if attrs.has(kind):
        return {name: _value(option) for name, option in resolved(kind).items()}
    if issubclass(kind, Mapping):
        return {"eval_loss": example_of(arguments[1] if len(arguments) > 1 else float, Restriction())}
    if issubclass(kind, Collection):
        return [example_of(arguments[0] if arguments else str, Restriction())]
    return "text"


def _number(restriction: Restriction, step: float) -> float:
    """Return a number within the bounds: 1 or a half where none hinders, else one step inside of a bound."""
    low = restriction.at_least if restriction.at_least is not None else restriction.above
    high = restriction.at_most if restriction.at_most is not None else restriction.below
    if low is not None and high is not None:
        return (
            high if restriction.at_most is not None else low if restriction.at_least is not None else (low + high) / 2
        )
    if low is not None:
        return max(low + step, 1) if low < 1 else low + step
    return min(high - step, 1) if high is not None else 1
