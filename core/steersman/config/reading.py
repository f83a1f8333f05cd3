"""Reads a config from YAML, TOML, a section of either, a Mapping, or nothing; resolves `extends`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import yaml
from attrs import evolve

from steersman.config.errors import ConfigError
from steersman.config.schema import Config, Use
from steersman.config.structuring import options_of, structure
from steersman.spelling import did_you_mean

Source = str | Path | Mapping[str, Any] | None
OUR_NAMES = ("loss", "eval_loss", "reward", "reward_std", "kl", "grad_norm", "learning_rate")
"""The names of metrics that shipped strategies look at, for `metrics:` to map onto."""
SHIPPED = "steersman.configs"
"""The entry-point group of named configs that `extends` may name."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core scalars: `no` and `on` are text, `1e-4` is a number, `12:30` is no time."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [
            (tag, regexp)
            for tag, regexp in resolvers
            if tag.rsplit(":", 1)[1] not in ("bool", "float", "int", "timestamp")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _unique(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value if key.tag != _TAG + "merge"]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is there twice", node.start_mark)
    return dict(yaml.SafeLoader.construct_mapping(loader, node, deep=True))


_resolve: Any = getattr(_Loader, "add_implicit_resolver")  # noqa: B009  (its stub has no types)
_TAG = "tag:yaml.org,2002:"
_resolve(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_resolve(_TAG + "int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_resolve(
    _TAG + "float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


_Loader.add_constructor(_TAG + "map", _unique)


def read(source: Source, problems: list[str] | None = None, *, folder: Path | None = None) -> Config:
    """Return the config of `source`; None is the shipped default. A mapping's paths are looked for from `folder`.

    Raises ConfigError with every fault at once, unless `problems` is given, which then receives them.
    """
    found: list[str] = [] if problems is None else problems
    name, own_folder, raw = _load(source)
    folder = folder if folder is not None and isinstance(source, Mapping) else own_folder
    merged = _extended(raw, folder, found, seen=())
    entries = merged.pop("use", [])
    score = merged.pop("score", None)
    if not isinstance(entries, list | tuple):
        found.append(f"$.use: expected a list of strategies, got {entries!r}")
        entries = []
    listed = list(cast("list[object]", entries))
    if score is not None:
        listed.insert(0, {"score": {"metrics": score}})
    for key in [key for key in merged if key not in KEYS]:
        found.append(f"$: unknown key {key!r}{did_you_mean(str(key), KEYS)}")
        del merged[key]
    merged["check_every"] = _steps(merged.get("check_every", "auto"))
    config = structure(merged, Config, "$", found) or _what_holds(merged)
    use = [parsed for i, entry in enumerate(listed) if (parsed := _use(entry, i - (score is not None), found))]
    _refuse_twins(use, found)
    _refuse_impossible_bounds(config, use, found)
    _refuse_bad_names(config, found)
    if problems is None and found:
        raise ConfigError(name, found)
    return evolve(config, use=tuple(use), source=name, folder=folder, raw=raw)


def _what_holds(merged: dict[str, Any]) -> Config:
    """Return the config without its faulty keys, so that faults which need the rest are found as well."""
    sound = {key: value for key, value in merged.items() if structure({key: value}, Config, "$", []) is not None}
    tables: object = merged.get("hyperparameters")
    if "hyperparameters" not in sound and isinstance(tables, Mapping):
        rules = cast("Mapping[object, object]", tables).items()
        named = {name: rule for name, rule in rules if isinstance(name, str)}
        held = {n: r for n, r in named.items() if structure({"hyperparameters": {n: r}}, Config, "$", []) is not None}
        sound["hyperparameters"] = {name: held.get(name, {}) for name in named}
    return structure(sound, Config, "$", []) or Config()


def _steps(check_every: object) -> object:
    """Return `50 steps` as 50; anything else as it is."""
    words = check_every.split() if isinstance(check_every, str) else []
    return int(words[0]) if len(words) == 2 and words[1] in ("step", "steps") and words[0].isdigit() else check_every


def _load(source: Source) -> tuple[str, Path, dict[str, Any]]:
    if source is None:
        return "no config", Path.cwd(), {}
    if isinstance(source, Mapping):
        return "the config given in Python", Path.cwd(), _section(dict(source))
    path = Path(source).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(str(path), [f"it cannot be read: {reason}"]) from None
    try:
        loaded: object = tomllib.loads(text) if path.suffix == ".toml" else yaml.load(text, _Loader)
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), [f"it does not parse: {' '.join(str(error).split())}"]) from None
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise ConfigError(str(path), [f"expected a table of options, got {type(loaded).__name__}"])
    document = cast("dict[str, Any]", loaded)
    if path.name == "pyproject.toml" and "steersman" not in document.get("tool", {}):
        raise ConfigError(str(path), ["it has no section [tool.steersman]"])
    return str(path), path.resolve().parent, _section(document)


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


def _extended(raw: Mapping[str, Any], folder: Path, problems: list[str], seen: tuple[str, ...]) -> dict[str, Any]:
    """Return `raw` over everything it extends. Tables are merged, all else is replaced."""
    own = dict(raw)
    parents: object = own.pop("extends", "default")
    merged: dict[str, Any] = {}
    for parent in cast("list[object]", parents) if isinstance(parents, list | tuple) else [parents]:
        if not isinstance(parent, str):
            problems.append(f"$.extends: expected a name or a path, got {parent!r}")
        elif parent in seen:
            problems.append(f"$.extends: {parent!r} extends itself through {', '.join(map(repr, seen))}")
        elif (loaded := _parent(parent, folder, problems)) is not None:
            base, where = loaded
            base.setdefault("extends", []) if parent == "default" else None
            merged = _merge(merged, _anchored(_extended(base, where, problems, (*seen, parent)), where, folder))
    return _merge(merged, own)


def _parent(name: str, folder: Path, problems: list[str]) -> tuple[dict[str, Any], Path] | None:
    if name.endswith((".yaml", ".yml", ".toml")) or "/" in name:
        try:
            _, where, raw = _load(folder / Path(name).expanduser())
        except ConfigError as error:
            problems.extend(f"$.extends: {error.source}: {problem}" for problem in error.problems)
            return None
        return raw, where
    shipped = {point.name: point for point in entry_points(group=SHIPPED)}
    if name not in shipped:
        known = ", ".join(sorted(shipped))
        problems.append(f"$.extends: no config named {name!r}{did_you_mean(name, shipped)} Installed: {known}.")
        return None
    try:
        return dict(cast("Mapping[str, Any]", shipped[name].load())), folder
    except Exception as error:
        problems.append(f"$.extends: the config {name!r} cannot be loaded: {type(error).__name__}: {error}")
        return None


def _anchored(merged: dict[str, Any], where: Path, folder: Path) -> dict[str, Any]:
    """Return a parent config whose in-house files are still found from the folder of its child."""
    entries: object = merged.get("use")
    if where == folder or not isinstance(entries, list):
        return merged

    def moved(entry: object) -> object:
        if isinstance(entry, Mapping):
            return {moved(name): options for name, options in cast("Mapping[object, object]", entry).items()}
        return str(where / entry) if isinstance(entry, str) and ".py:" in entry else entry

    return {**merged, "use": [moved(entry) for entry in cast("list[object]", entries)]}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both_tables = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value)) if both_tables else value
    return merged


def _use(entry: object, index: int, problems: list[str]) -> Use | None:
    path = f"$.use[{index}]" if index >= 0 else "$.score"
    options: object = {}
    if isinstance(entry, Mapping):
        items = list(cast("Mapping[object, object]", entry).items())
        if len(items) != 1:
            problems.append(f"{path}: expected one strategy with its options, got {len(items)} names")
            return None
        entry, options = items[0][0], items[0][1] if items[0][1] is not None else {}
    if isinstance(entry, int | float | list | tuple | type(None)):
        problems.append(f"{path}: expected the name of a strategy, got {entry!r}")
        return None
    if not isinstance(entry, str):
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(entry).__name__).lower()
        return Use(target=type(entry).__qualname__, name=name, instance=entry, index=index)
    if not isinstance(options, Mapping):
        problems.append(f"{path}.{entry}: expected a table of options, got {options!r}")
        return None
    target, renamed, name = (part.strip() for part in f"{entry} ".partition(" as "))
    if renamed and not name:
        problems.append(f"{path}: {entry!r} gives no name after `as`")
        return None
    own = name or (target.rpartition(":")[2] if ".py:" in target else target)
    return Use(target, own, dict(cast("Mapping[str, Any]", options)), index=index)


def _refuse_twins(use: list[Use], problems: list[str]) -> None:
    names = [entry.name for entry in use]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"$.use: {name!r} is named twice; give one a name of its own: `{name} as other-name`")


def _refuse_impossible_bounds(config: Config, use: list[Use], problems: list[str]) -> None:
    names = [entry.name for entry in use]
    for name, rules in config.hyperparameters.items():
        path, bounds = f"$.hyperparameters.{name}", rules.bounds()
        if bounds.min > bounds.max or bounds.min_factor > bounds.max_factor:
            problems.append(f"{path}: its least value is above its greatest")
        if rules.owner is not None and rules.owner not in names:
            near = did_you_mean(rules.owner, names) or f"; it names {', '.join(names)}"
            problems.append(f"{path}.owner: `use` names no strategy {rules.owner!r}{near}")


def _refuse_bad_names(config: Config, problems: list[str]) -> None:
    ours = list(config.metrics.values())
    for theirs, name in config.metrics.items():
        if ours.count(name) > 1:
            problems.append(f"$.metrics.{theirs}: another metric is called {name!r} already")
        elif name not in OUR_NAMES and not name.startswith("eval_") and (near := did_you_mean(name, OUR_NAMES)):
            problems.append(f"$.metrics.{theirs}: no strategy of ours looks at {name!r}{near}")


KEYS = (*options_of(Config), "use", "score", "extends")
"""Every key a config may have at its top."""
