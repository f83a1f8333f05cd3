"""What a value holds, as plain values that can be compared and shown."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, cast

import attrs

_DEPTH = 12


def fields_of(value: object) -> tuple[attrs.Attribute[Any], ...]:
    """Return the fields of what an attrs class made; anything else has none."""
    cls: type[Any] = type(value)
    return cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls)) if attrs.has(cls) else ()


def contents(value: object, depth: int = 0) -> object:
    """Return everything a value holds as plain values that can be compared; NaN is the same as itself."""
    if isinstance(value, float):
        return repr(value)
    if value is None or isinstance(value, str | bytes | int) or depth > _DEPTH:
        return value
    held: list[object]
    kind = type(value).__name__
    if isinstance(value, Mapping):
        held = [part for item in cast("Mapping[object, object]", value).items() for part in item]
    elif isinstance(value, list | tuple | array):
        held = list(cast("list[object]", value))
    elif isinstance(value, set | frozenset):
        held = list[object](sorted(map(repr, cast("set[object]", value))))
    elif fields := fields_of(value):
        held = [getattr(value, a.name) for a in fields]
    else:
        held = list(getattr(value, "__dict__", {}).values())
    return (kind, tuple(contents(part, depth + 1) for part in held))


def shown(value: object) -> str:
    """Return a value as a sentence shows it."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
