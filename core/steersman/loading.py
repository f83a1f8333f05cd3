"""Load the strategies that a config names, found by entry point without importing others; register with pluggy."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Any, cast

import attrs
import pluggy

from steersman import in_house
from steersman.catalogue.discovering import GROUP
from steersman.catalogue.entry_points import EntryPoint, entry_points
from steersman.config import Config, Use
from steersman.config.origins import blamed
from steersman.config.structuring import options_of, structure
from steersman.deprecations import hookspecs, with_new_names
from steersman.inspecting import faults_of, hooks_of
from steersman.journal import from_json, to_json
from steersman.loaded import Loaded, OnError, Source
from steersman.spelling import did_you_mean
from steersman.strategies import restore_state, state_of


def installed() -> dict[str, list[EntryPoint]]:
    """Return every installed strategy by name, imported by nobody; a name with two distributions has two."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def load(config: Config, problems: list[str], *, effects: bool = True) -> tuple[Loaded, ...]:
    """Return the strategies the config names, in its order; each fault is a sentence appended to `problems`.

    Without `effects`, those that act outside the run are left out, and not even made.
    """
    named = any(use.instance is None and not in_house.is_in_house(use.target) for use in config.use)
    known = installed() if named else {}
    found: list[str] = []
    loaded = [_load(use, known, config, found, effects=effects) for use in config.use]
    problems += blamed(found, config.layers)
    return tuple(strategy for strategy in loaded if strategy is not None)


def find(target: str, folder: Path, problems: list[str], *, path: str = "") -> tuple[type[Any], Source] | None:
    """Return the class behind an installed name or a `FILE:CLASS`, imported alone, or None with its faults told."""
    if target.endswith(".py"):
        problems.append(f"{target!r} is a file; name the class in it too, such as {target}:MyThing")
        return None
    if in_house.is_in_house(target):
        found = in_house.class_of(target, folder, path, problems)
    else:
        found = _from_entry_point(target, installed(), path, problems)
    if found is None:
        return None
    faults = faults_of(found[0], _named(target, found[1]))
    problems.extend(f"{path}: {fault}" if path else fault for fault in faults)
    return None if faults else found


def register(strategies: tuple[Loaded, ...]) -> pluggy.PluginManager:
    """Return a plugin manager that holds the strategies under their names in this run."""
    manager = pluggy.PluginManager("steersman")
    manager.add_hookspecs(hookspecs())
    for loaded in strategies:
        manager.register(loaded.strategy, name=loaded.name)
    manager.check_pending()
    return manager


def _load(
    use: Use, known: dict[str, list[EntryPoint]], config: Config, problems: list[str], *, effects: bool
) -> Loaded | None:
    path = f"$.use[{use.index}]" if use.index >= 0 else "$.score"
    options = dict(use.options)
    if use.instance is not None:
        made = use.instance
        cls = type(made)
        options = given_options(made)
        source = Source(f"given in Python ({cls.__module__})")
        if inspect.isclass(made):
            problems.append(f"{path}: {made.__name__} is a class; give an instance, {made.__name__}()")
            return None
        if _faulty(cls, path, f"the strategy {use.target}", problems) or (_has_effects(cls) and not effects):
            return None
    else:
        found = (
            in_house.class_of(use.target, config.folder, path, problems)
            if in_house.is_in_house(use.target)
            else _from_entry_point(use.target, known, path, problems)
        )
        if found is None:
            return None
        cls, source = found
        who = _named(use.target, source)
        if _faulty(cls, path, who, problems) or (_has_effects(cls) and not effects):
            return None
        place = f"{path}.{use.name}" if use.index >= 0 else path
        options = with_new_names(cls, options, place)
        made = _make(cls, options, place, path, who, problems)
        if made is None:
            return None
    if problem := _state_fault(made):
        problems.append(f"{path}: {_named(use.target, source)}: {problem}")
        return None
    return Loaded(
        use.name,
        made,
        source,
        use.target,
        options,
        on_error=use.on_error or _declared(cls, config) or config.on_error,
        time_budget=_finite(config.time_budget if use.time_budget is None else use.time_budget),
        effects=_has_effects(cls),
        needs_snapshots=bool(getattr(made, "needs_snapshots", False)),  # it may depend on the options
        scores_late=bool(getattr(cls, "scores_late", False)),
        logs_with_usage_only=bool(getattr(cls, "logs_with_usage_only", False)),
        is_given=use.instance is not None,
        hooks=hooks_of(cls),
    )


def given_options(strategy: object) -> dict[str, Any]:
    """Return the options of a strategy given as an object, as JSON holds them."""
    if not attrs.has(cls := type(strategy)):
        return {}
    return {name: to_json(_plain(getattr(strategy, a.name))) for name, a in options_of(cls).items()}


def _plain(value: Any) -> Any:
    is_table = not isinstance(value, type) and hasattr(value, "__attrs_attrs__")
    return attrs.asdict(value) if is_table else value


def _declared(cls: type[Any], config: Config) -> OnError | None:
    """Return the `on_error` of a class; in `observe` nothing is touched on the word of a strategy alone."""
    return cast("OnError | None", getattr(cls, "on_error", None)) if config.mode != "observe" else None


def _finite(budget: float | None) -> float | None:
    return None if budget is None or math.isinf(budget) else budget


def _faulty(cls: type[Any], path: str, who: str, problems: list[str]) -> bool:
    faults = faults_of(cls, who)
    problems.extend(f"{path}: {fault}" for fault in faults)
    return bool(faults)


def _state_fault(strategy: object) -> str:
    """Return why a strategy could not take its own first state back from a checkpoint, or nothing."""
    try:
        restore_state(strategy, from_json(to_json(state_of(strategy))))
    except Exception as error:
        return f"its state cannot be restored from a checkpoint, not even as it begins: {error}"
    return ""


def _has_effects(cls: type[Any]) -> bool:
    return bool(getattr(cls, "effects", False))


def _named(target: str, source: Source) -> str:
    return f"strategy {target!r} from {source.text}"


def _from_entry_point(
    target: str, known: dict[str, list[EntryPoint]], path: str, problems: list[str]
) -> tuple[type[Any], Source] | None:
    points, at = known.get(target, []), f"{path}: " if path else ""
    if not points:
        near = did_you_mean(target, known)
        names = ", ".join(sorted(known)) or "none"
        problems.append(f"{at}no strategy named {target!r}{near or '.'} Installed: {names}.")
        return None
    if len(points) > 1:
        origins = " and ".join(_source(point).text for point in points)
        problems.append(f"{at}strategy {target!r} is provided by {origins}; uninstall one of them")
        return None
    source = _source(points[0])
    try:
        loaded = points[0].load()
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        problems.append(f"{at}strategy {target!r} from {source.text} cannot be imported: {reason}")
        return None
    if not inspect.isclass(loaded):
        what = "a module" if inspect.ismodule(loaded) else f"a {type(loaded).__name__}"
        problems.append(f"{at}strategy {target!r} from {source.text} is {what}; an entry point must name a class")
        return None
    return cast("type[Any]", loaded), source


def _make(
    cls: type[Any], options: dict[str, Any], place: str, path: str, who: str, problems: list[str]
) -> object | None:
    if attrs.has(cls):
        try:
            return structure(options, cls, place, problems)
        except (Exception, SystemExit) as error:
            problems.append(f"{place}: {who} cannot be made: {type(error).__name__}: {error}")
            return None
    if options:
        problems.append(f"{place}: {who} is no attrs class, so it takes no options")
        return None
    try:
        made: object = cls()
    except (Exception, SystemExit) as error:
        problems.append(f"{place}: {who} cannot be made: {type(error).__name__}: {error}")
        return None
    return made


def _source(point: EntryPoint) -> Source:
    return Source(point.origin, point.distribution, point.version)
