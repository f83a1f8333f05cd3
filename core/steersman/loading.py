"""Discover strategies by entry point without importing; load what the config names; register with pluggy."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

import attrs
import pluggy

from steersman.config import Config, Use
from steersman.config.structuring import structure
from steersman.dispatch import Loaded
from steersman.hookspecs import HOOKS, Hooks
from steersman.spelling import did_you_mean

STRATEGIES = "steersman.strategies"
"""The entry-point group of strategies; the name is what users write in `use:`."""
_MARKER = "steersman_impl"


def installed() -> dict[str, list[EntryPoint]]:
    """Return every installed strategy by name, imported by nobody; a name with two distributions has two."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=STRATEGIES):
        known = found.setdefault(point.name, [])
        if all((_origin(point), point.value) != (_origin(other), other.value) for other in known):
            known.append(point)
    return found


def load(config: Config, problems: list[str]) -> tuple[Loaded, ...]:
    """Return the strategies the config names, in its order; each fault is a sentence appended to `problems`."""
    known = installed() if any(use.instance is None and ".py:" not in use.target for use in config.use) else {}
    loaded = (_load(use, known, config.folder, problems) for use in config.use)
    return tuple(strategy for strategy in loaded if strategy is not None)


def register(strategies: tuple[Loaded, ...]) -> pluggy.PluginManager:
    """Return a plugin manager that holds the strategies under their names in this run."""
    manager = pluggy.PluginManager("steersman")
    manager.add_hookspecs(Hooks)
    for loaded in strategies:
        manager.register(loaded.strategy, name=loaded.name)
    manager.check_pending()
    return manager


def _load(use: Use, known: dict[str, list[EntryPoint]], folder: Path, problems: list[str]) -> Loaded | None:
    path = f"$.use[{use.index}]" if use.index >= 0 else "$.score"
    if use.instance is not None:
        who, origin, made = (
            f"the strategy {use.target}",
            f"given in Python ({type(use.instance).__module__})",
            use.instance,
        )
        if inspect.isclass(made):
            problems.append(f"{path}: {made.__name__} is a class; give an instance, {made.__name__}()")
            return None
    else:
        in_house = ".py:" in use.target
        found = _from_file(use, folder, path, problems) if in_house else _from_entry_point(use, known, path, problems)
        if found is None:
            return None
        cls, origin = found
        who = f"strategy {use.target!r} from {origin}"
        faults = _faults_of(cls, who)
        if faults:
            problems.extend(f"{path}: {fault}" for fault in faults)
            return None
        made = _make(cls, use, f"{path}.{use.name}" if use.index >= 0 else path, who, problems)
        if made is None:
            return None
    faults = _faults_of(type(made), who)
    problems.extend(f"{path}: {fault}" for fault in faults)
    return None if faults else Loaded(use.name, made, origin, use.target, dict(use.options))


def _from_entry_point(
    use: Use, known: dict[str, list[EntryPoint]], path: str, problems: list[str]
) -> tuple[type[Any], str] | None:
    points = known.get(use.target, [])
    if not points:
        near = did_you_mean(use.target, known)
        names = ", ".join(sorted(known)) or "none"
        problems.append(f"{path}: no strategy named {use.target!r}{near or '.'} Installed: {names}.")
        return None
    if len(points) > 1:
        origins = " and ".join(_origin(point) for point in points)
        problems.append(f"{path}: strategy {use.target!r} is provided by {origins}; uninstall one of them")
        return None
    origin = _origin(points[0])
    try:
        target = points[0].load()
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}"
        problems.append(f"{path}: strategy {use.target!r} from {origin} cannot be imported: {reason}")
        return None
    if not inspect.isclass(target):
        what = "a module" if inspect.ismodule(target) else f"a {type(target).__name__}"
        problems.append(f"{path}: strategy {use.target!r} from {origin} is {what}; an entry point must name a class")
        return None
    return cast("type[Any]", target), origin


def _from_file(use: Use, folder: Path, path: str, problems: list[str]) -> tuple[type[Any], str] | None:
    name, _, class_name = use.target.rpartition(":")
    file = (folder / Path(name).expanduser()).resolve()
    if not file.is_file():
        problems.append(f"{path}: {use.target!r}: there is no file {file}")
        return None
    module_name = f"steersman_in_house_{file.stem}_{abs(hash(str(file))):x}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        problems.append(f"{path}: {file}{line} cannot be imported: {type(error).__name__}: {error}")
        return None
    classes = {n: c for n, c in vars(module).items() if inspect.isclass(c) and c.__module__ == module_name}
    if class_name not in classes:
        has = f"; it has {', '.join(sorted(classes))}" if classes else ""
        problems.append(f"{path}: {file} has no class {class_name!r}{did_you_mean(class_name, classes)}{has}")
        return None
    return classes[class_name], f"the file {file}"


def _faults_of(cls: type[Any], who: str) -> list[str]:
    """Return what is wrong with a class as a strategy, a sentence each."""
    faults: list[str] = []
    hooks = 0
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, staticmethod | classmethod):
            member = cast("Any", member).__func__
        if not inspect.isfunction(member):
            continue
        if not hasattr(member, _MARKER):
            if name in HOOKS:
                faults.append(f"{who}: its method {name} lacks the decorator @hookimpl, so it would never be called")
            continue
        hooks += 1
        faults.extend(
            _faults_of_hook(name, member, who, bound=not isinstance(inspect.getattr_static(cls, name), staticmethod))
        )
    if not hooks and not faults:
        faults.append(f"{who}: {cls.__name__} has no hook; mark one of {', '.join(HOOKS)} with @hookimpl")
    if cls.__hash__ is None:  # pyright: ignore[reportUnnecessaryComparison]
        faults.append(f"{who}: {cls.__name__} compares by value; declare it with @define(eq=False)")
    return faults


def _faults_of_hook(name: str, function: Any, who: str, *, bound: bool) -> list[str]:
    if name not in HOOKS:
        return [f"{who}: there is no hook {name!r}{did_you_mean(name, HOOKS)}"]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return [f"{who}: {name} is async; hooks are called, not awaited: make it a plain method"]
    if inspect.isgeneratorfunction(function) and (name.startswith("on_") or name == "score_checkpoint"):
        return [f"{who}: {name} is a generator, so its body would never run; use return instead of yield"]
    parameters = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    faults: list[str] = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            faults.append(f"{who}: {name} takes {parameter}; it may take {' and '.join(HOOKS[name])}")
        elif parameter.name not in HOOKS[name]:
            near = did_you_mean(parameter.name, HOOKS[name]) or f"; it may take {' and '.join(HOOKS[name])}"
            faults.append(f"{who}: {name} asks for an argument {parameter.name!r} that it will not get{near}")
    return faults


def _make(cls: type[Any], use: Use, path: str, who: str, problems: list[str]) -> object | None:
    if attrs.has(cls):
        try:
            return structure(use.options, cls, path, problems)
        except Exception as error:
            problems.append(f"{path}: {who} cannot be made: {type(error).__name__}: {error}")
            return None
    if use.options:
        problems.append(f"{path}: {who} is no attrs class, so it takes no options")
        return None
    try:
        made: object = cls()
    except Exception as error:
        problems.append(f"{path}: {who} cannot be made: {type(error).__name__}: {error}")
        return None
    return made


def _origin(point: EntryPoint) -> str:
    where = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown distribution"
    return f"{where} ({point.value})"
