"""The config in force as text: YAML that reads back the same, each value with where it came from; or one object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from steersman.config.effective import Effective, Entry, Leaf, Table
from steersman.config.schema import Config
from steersman.config.yaml_text import dumps

_WIDEST = 60
"""Comments are in one column, but for lines that are longer than this."""


@frozen
class _Line:
    text: str
    origin: str = ""


def to_yaml(config: Config, shown: Effective) -> str:
    """Return the config as YAML with a comment at each value: the layer it came from, or whose default it is."""
    over = " over ".join(layer.name for layer in reversed(config.layers)) or "nothing"
    asked = ", ".join(use.name for use in config.use) or "none"
    head = [_Line(f"# {_printable(over)}"), _Line(f"# asked in this order: {_printable(asked)}"), _Line("extends: []")]
    lines = [*head, *_table(shown.values, "")]
    if not shown.use:
        lines.append(_Line("use: []", "nothing names a strategy" if not config.use else ""))
    else:
        lines += [_Line("use:"), *(line for entry in shown.use for line in _entry(entry))]
    width = max((len(line.text) for line in lines if line.origin and len(line.text) <= _WIDEST), default=0)
    return "\n".join(f"{x.text:<{width}}  # {_printable(x.origin)}" if x.origin else x.text for x in lines) + "\n"


def _entry(entry: Entry) -> Iterator[_Line]:
    if entry.is_object:
        yield _Line(f"  # an object of Python, {entry.written}, has no form in YAML", entry.options.origin)
        return
    written = dumps(entry.written)
    yield _Line(f"  - {written}:" if entry.options.values else f"  - {written}", entry.options.origin)
    yield from _table(entry.options, "      ")


def _table(table: Table, indent: str) -> Iterator[_Line]:
    for key, node in table.values.items():
        name = f"{indent}{dumps(key)}:"
        if isinstance(node, Leaf):
            yield _Line(f"{name} {dumps(node.value)}", node.origin)
        elif not node.values:
            yield _Line(f"{name} {{}}", node.origin)
        else:
            yield _Line(name)
            yield from _table(node, f"{indent}  ")
    if table.left_out:
        yield _Line(f"{indent}# and, at their defaults: {', '.join(table.left_out)} (--all)")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def to_object(config: Config, shown: Effective) -> dict[str, Any]:
    """Return the config as plain values, and the origin of each by its path."""
    origins: dict[str, str] = {}
    use: list[dict[str, Any]] = []
    values: dict[str, Any] = {"extends": [], **_values(shown.values, "$", origins), "use": use}
    for index, entry in enumerate(shown.use):
        path = f"$.use[{index}]"
        origins[path] = entry.options.origin
        use.append({entry.written: _values(entry.options, f"{path}.{entry.name}", origins)})
    return {
        "source": config.source,
        "layers": [layer.name for layer in config.layers],
        "asks": [use.name for use in config.use],
        "config": values,
        "origins": origins,
    }


def _values(table: Table, path: str, origins: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, node in table.values.items():
        at = f"{path}.{key}"
        if isinstance(node, Leaf):
            values[key], origins[at] = node.value, node.origin
        else:
            values[key] = _values(node, at, origins)
    return values
