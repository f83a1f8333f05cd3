"""The options of a class as a config may set them: resolved types, and defaults as plain values."""

from __future__ import annotations

import inspect
from typing import Any

import attrs

from steersman.config.effective import plain
from steersman.config.structuring import options_of
from steersman.secrets import Secret


def resolved(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    """Return the options of a class by name, their types resolved; where one cannot be, they are as written."""
    if not attrs.has(cls):
        return {}
    try:
        attrs.resolve_types(cls)
    except Exception:  # an annotation may hold any expression
        return options_of(cls)
    return options_of(cls)


def is_table(type_: Any) -> bool:
    """Whether an option of that type is a table of options of its own."""
    return inspect.isclass(type_) and attrs.has(type_) and type_ is not Secret


def default_of(option: attrs.Attribute[Any]) -> Any:
    """Return the default as a plain value; attrs.NOTHING where the option is required, None where it is computed."""
    default: Any = option.default
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return default if default is attrs.NOTHING else plain(default)
    try:
        return None if default.takes_self else plain(default.factory())
    except Exception:  # whoever uses the strategy without it will see why
        return None
