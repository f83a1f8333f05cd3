"""Where a value of a config came from: the uppermost layer that says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from steersman.config.layers import Layer


def origin_of(layers: Sequence[Layer], *path: str) -> str | None:
    """Return the name of the layer that says what is at `path`, None where none does and the default holds."""
    return next((layer.name for layer in reversed(layers) if held(layer.values, path)[0]), None)


def origin_of_entry(layers: Sequence[Layer], name: str, *option: str) -> str | None:
    """Return the layer that says an option of the strategy `name`; without an option, the one that names it in `use`.

    An option that no layer above the list of strategies says is of that list's layer.
    """
    for layer in reversed(layers):
        use: object = layer.values.get("use")
        if isinstance(use, list | tuple) or (option and held(use, (name, *option))[0]):
            return layer.name
    return None


def blamed(problems: Sequence[str], layers: Sequence[Layer]) -> list[str]:
    """Return the faults of strategies' options, each that a variable of the environment caused with its name."""
    return [_blamed(problem, layers) for problem in problems]


def _blamed(problem: str, layers: Sequence[Layer]) -> str:
    at, _, what = problem.partition(": ")
    for layer in layers:
        use: object = layer.values.get("use")
        for path in _paths(cast("Mapping[str, object]", use)) if isinstance(use, Mapping) else ():
            *before, last = path
            is_unknown = at.endswith("." + ".".join(before)) and f"unknown option {last!r}" in what
            if at.endswith("." + ".".join(path)) or is_unknown:
                return f"{layer.name}: {problem}"
    return problem


def _paths(table: Mapping[str, object]) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        inner = tuple(_paths(cast("Mapping[str, object]", value))) if isinstance(value, Mapping) else ()
        yield from ((str(key), *path) for path in inner or ((),))


def held(values: object, path: Sequence[str]) -> tuple[bool, object]:
    """Return whether there is something at `path` in nested tables, and what."""
    for key in path:
        if not isinstance(values, Mapping) or key not in values:
            return False, None
        values = cast("Mapping[object, object]", values)[key]
    return True, values
