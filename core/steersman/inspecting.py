"""What is wrong with a class as a strategy, before it is made."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, cast

import attrs

from steersman.deprecations import arguments_of
from steersman.hookspecs import HOOKS
from steersman.loaded import ON_ERROR, RESERVED
from steersman.spelling import did_you_mean

_MARKER = "steersman_impl"
_ONE_VALUE = ("score_checkpoint", "guard_steps")


def faults_of(cls: type[Any], who: str) -> list[str]:
    """Return what is wrong with a class as a strategy, a sentence each."""
    faults: list[str] = []
    for name, member in _functions(cls):
        if hasattr(member, _MARKER):
            bound = not isinstance(inspect.getattr_static(cls, name), staticmethod)
            faults.extend(_faults_of_hook(name, member, who, bound=bound))
        elif name in HOOKS:
            faults.append(f"{who}: its method {name} lacks the decorator @hookimpl, so it would never be called")
    if not faults and not hooks_of(cls):
        faults.append(f"{who}: {cls.__name__} has no hook; mark one of {', '.join(HOOKS)} with @hookimpl")
    if cls.__hash__ is None:  # pyright: ignore[reportUnnecessaryComparison]
        faults.append(f"{who}: {cls.__name__} compares by value; declare it with @define(eq=False)")
    return [*faults, *_faults_of_declarations(cls, who)]


def hooks_of(cls: type[Any]) -> frozenset[str]:
    """Return the names of the hooks that a class implements."""
    return frozenset(name for name, member in _functions(cls) if name in HOOKS and hasattr(member, _MARKER))


def _functions(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, staticmethod | classmethod):
            member = cast("Any", member).__func__
        if inspect.isfunction(member):
            yield name, member


def _faults_of_hook(name: str, function: Any, who: str, *, bound: bool) -> list[str]:
    if name not in HOOKS:
        return [f"{who}: there is no hook {name!r}{did_you_mean(name, HOOKS)}"]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return [f"{who}: {name} is async; hooks are called, not awaited: make it a plain method"]
    if inspect.isgeneratorfunction(function) and (name.startswith("on_") or name in _ONE_VALUE):
        return [f"{who}: {name} is a generator, so its body would never run; use return instead of yield"]
    parameters = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    faults: list[str] = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
            faults.append(f"{who}: {name} takes {parameter}; it may take {' and '.join(HOOKS[name])}")
        elif parameter.name not in arguments_of(name):
            near = did_you_mean(parameter.name, HOOKS[name]) or f"; it may take {' and '.join(HOOKS[name])}"
            faults.append(f"{who}: {name} asks for an argument {parameter.name!r} that it will not get{near}")
    return faults


def _faults_of_declarations(cls: type[Any], who: str) -> Iterator[str]:
    fields = [a.name for a in cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))] if attrs.has(cls) else []
    for name in RESERVED:
        if name in fields:
            yield f"{who}: its option {name!r} has the name of a key that stands beside every strategy's options"
    on_error = getattr(cls, "on_error", None)
    if "on_error" not in fields and on_error is not None and on_error not in ON_ERROR:
        yield f"{who}: its `on_error` is {on_error!r}; expected one of {', '.join(map(repr, ON_ERROR))}"
