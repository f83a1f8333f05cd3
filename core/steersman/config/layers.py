"""The layers of a config: what each source says, what it extends, and which lies over which."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from attrs import field, frozen

from steersman.catalogue.entry_points import EntryPoint, entry_points
from steersman.config.errors import ConfigError
from steersman.config.yaml_text import loads, told
from steersman.spelling import did_you_mean

Source = str | Path | Mapping[str, Any] | None
SHIPPED = "steersman.configs"
"""The entry-point group of named configs that `extends` may name."""
_DEFAULT = "default"


@frozen
class Layer:
    """What one source says: a file, a shipped config, a mapping, an environment variable.

    The files that it names are looked for from `folder`.
    """

    name: str
    values: Mapping[str, Any]
    folder: Path = field(factory=Path.cwd)


def stacked(own: Layer, problems: list[str]) -> tuple[Layer, ...]:
    """Return everything that `own` extends, the lowest first, and `own` at the end."""
    layers = [*_below(own, {Path(own.name).expanduser().resolve(): own.name}, problems), own]
    implied = any("extends" not in layer.values and not _is_default(layer) for layer in layers)
    if implied and not _is_default(layers[0]):
        layers[:0] = [layer for layer in [_shipped(_DEFAULT, own.folder, "$.extends", problems)] if layer is not None]
    return tuple(layers)


def _below(layer: Layer, seen: Mapping[Path | str, str], problems: list[str]) -> Iterator[Layer]:
    """Yield what a layer extends in so many words; what it extends by saying nothing is `stacked`'s to add, once."""
    at = "$.extends" if len(seen) == 1 else f"{layer.name}: $.extends"
    parents: object = layer.values.get("extends", [])
    for parent in cast("list[object]", parents) if isinstance(parents, list | tuple) else [parents]:
        if not isinstance(parent, str):
            problems.append(f"{at}: expected a name or a path, got {parent!r}")
            continue
        is_path = parent.endswith((".yaml", ".yml", ".toml")) or "/" in parent
        which: Path | str = (layer.folder / Path(parent).expanduser()).resolve() if is_path else parent
        if which in seen:
            way = ", ".join(map(repr, [*seen.values()][[*seen].index(which) + 1 :]))
            problems.append(f"{at}: {parent!r} extends itself{way and f' through {way}'}")
            continue
        found = _file(which, at, problems) if isinstance(which, Path) else _shipped(which, layer.folder, at, problems)
        if found is not None:
            yield from _below(found, {**seen, which: parent}, problems)
            yield found


def _file(path: Path, at: str, problems: list[str]) -> Layer | None:
    try:
        return load(path)
    except ConfigError as error:
        problems.extend(f"{at}: {error.source}: {problem}" for problem in error.problems)
        return None


def _shipped(name: str, folder: Path, at: str, problems: list[str]) -> Layer | None:
    shipped = {point.name: point for point in entry_points(SHIPPED)}
    if name not in shipped:
        known = ", ".join(sorted(shipped))
        problems.append(f"{at}: no config named {name!r}{did_you_mean(name, shipped)} Installed: {known}.")
        return None
    try:
        values = dict(cast("Mapping[str, Any]", shipped[name].load()))
    except Exception as error:
        problems.append(f"{at}: the config {name!r} cannot be loaded: {type(error).__name__}: {error}")
        return None
    return Layer(f"{name} ({_whose(shipped[name])})", values, folder)


def _is_default(layer: Layer) -> bool:
    return layer.name.startswith(f"{_DEFAULT} (") and layer.name.endswith(")")


def _whose(point: EntryPoint) -> str:
    return "shipped" if point.distribution == "steersman" else f"{point.distribution} {point.version}"


def load(source: Source) -> Layer:
    """Return what a source says by itself. Raises ConfigError where it cannot be read."""
    if source is None:
        return Layer("no config", {})
    if isinstance(source, Mapping):
        return Layer("the config given in Python", _section(dict(source)))
    path = Path(source).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(str(path), [f"it cannot be read: {reason}"]) from None
    try:
        loaded: object = tomllib.loads(text) if path.suffix == ".toml" else loads(text)
    except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError) as error:
        raise ConfigError(str(path), [told(error)]) from None
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise ConfigError(str(path), [f"expected a table of options, got {type(loaded).__name__}"])
    document = cast("dict[str, Any]", loaded)
    tool: object = document.get("tool")
    if path.name == "pyproject.toml" and not (isinstance(tool, Mapping) and "steersman" in tool):
        raise ConfigError(str(path), ["it has no section [tool.steersman]"])
    return Layer(str(path), _section(document), path.resolve().parent)


def _section(document: dict[str, Any]) -> dict[str, Any]:
    """Return the part that is ours: `[tool.steersman]`, a top-level `steersman:`, else all of it."""
    tool = document.get("tool")
    for holder in (cast("object", tool), cast("object", document)):
        ours = (
            cast("Mapping[str, object]", holder).get("steersman", document) if isinstance(holder, Mapping) else document
        )
        if ours is not document and (ours is None or isinstance(ours, Mapping)):
            return dict(cast("Mapping[str, Any]", ours or {}))
    return document


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `above` laid over `below`: tables are merged, all else is replaced."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both_tables = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value)) if both_tables else value
    return merged
