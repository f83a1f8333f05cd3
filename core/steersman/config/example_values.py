"""Values that an option may have, for a config to paste: its default, else one that its type and validator allow."""

from __future__ import annotations

import enum
import types
from collections.abc import Collection, Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs

from steersman.config.effective import plain
from steersman.config.options import default_of, resolved
from steersman.config.restrictions import Restriction, restriction_of
from steersman.config.type_words import unwrapped
from steersman.secrets import Secret


def value_of(option: attrs.Attribute[Any]) -> Any:
    """Return the default of an option as a plain value; where it is required, an example."""
    default = default_of(option)
    return example_of(option.type, restriction_of(option.validator)) if default is attrs.NOTHING else default


def example_of(type_: Any, restriction: Restriction | None = None) -> Any:
    """Return a plain value of a type that keeps to a restriction as far as that is numbers or choices."""
    restriction = restriction or Restriction()
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
        return {name: value_of(option) for name, option in resolved(kind).items()}
    if issubclass(kind, Mapping):
        return {"eval_loss": example_of(arguments[1] if len(arguments) > 1 else float)}
    if issubclass(kind, Collection):
        return [example_of(arguments[0] if arguments else str)]
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
