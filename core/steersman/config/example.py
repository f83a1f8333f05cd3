"""A config to paste that uses a strategy: what it needs, a few options at their defaults, the rest as comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs
from attrs import frozen

from steersman.config.example_values import example_of, value_of
from steersman.config.options import default_of, resolved
from steersman.config.structuring import structure
from steersman.config.yaml_text import dumps

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
    values = {name: value_of(option) for name, option in options.items()}
    problems: list[str] = []
    structure(values, cls, target, problems) if options else None
    if problems:  # an empty table or list may be what it refuses
        filled = {name: value or example_of(options[name].type) for name, value in values.items()}
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
