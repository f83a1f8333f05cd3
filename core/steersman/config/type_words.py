"""The type of an option in words that a person who writes YAML knows."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Collection, Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin

import attrs

from steersman.secrets import Secret

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    type(None): "null",
    None: "null",
    Any: "anything",
    Secret: "secret, as {env: NAME}",
}


def words_for(type_: Any) -> str:
    """Return what a value of the type looks like: `whole number`, `guarded or seed`, `list of numbers`."""
    if isinstance(type_, str):  # an annotation that could not be resolved
        return type_
    type_ = unwrapped(type_)
    if _is_hashable(type_) and type_ in _WORDS:
        return _WORDS[type_]
    origin: Any = get_origin(type_)
    if origin is Literal:
        return " or ".join(str(choice) for choice in get_args(type_))
    if origin in (Union, types.UnionType):
        members = sorted(get_args(type_), key=lambda member: member is type(None))
        return " or ".join(dict.fromkeys(words_for(member) for member in members))
    kind = cast("type[Any] | None", origin or type_ if isinstance(origin or type_, type) else None)
    if kind is None:
        return str(type_)
    if issubclass(kind, enum.Enum):
        return " or ".join(str(member.value) for member in kind)
    if attrs.has(kind):
        return "table"
    arguments: tuple[Any, ...] = get_args(type_)
    if issubclass(kind, Mapping):
        inner = words_for(arguments[1]) if len(arguments) > 1 else "anything"
        return f"table of names to {_plural(inner)}"
    if issubclass(kind, tuple) and arguments and arguments[-1] is not Ellipsis:
        return f"list of {', '.join(words_for(argument) for argument in arguments)}"
    if issubclass(kind, Collection):
        return f"list of {_plural(words_for(arguments[0]) if arguments else 'anything')}"
    return kind.__name__


def unwrapped(type_: Any) -> Any:
    """Return the type behind an alias, a new name, or an annotation with more than a type."""
    while True:
        inner: Any = getattr(type_, "__supertype__", None) or getattr(type_, "__value__", None)
        if inner is None and get_origin(type_) in (typing.Annotated, typing.Final):
            inner = get_args(type_)[0]
        if inner is None:
            return type_
        type_ = inner


def _is_hashable(type_: Any) -> bool:
    try:
        hash(type_)
    except TypeError:
        return False
    return True


def _plural(words: str) -> str:
    each = words.split(" or ")
    return " or ".join(f"{word}s" if word in ("number", "whole number", "text", "table") else word for word in each)
