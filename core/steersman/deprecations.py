"""Every deprecation, and nothing else: what was renamed, since when, and until when the old name works.

A renamed hook argument, option or config key works under its old name for two minor releases. Whoever uses it is warned
at their own file and line, by a category that Python shows by default. A test fails when one outlives its time.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from types import FunctionType
from typing import Any, cast

import pluggy
from attrs import frozen

from steersman.hookspecs import HOOKS, Hooks


class SteersmanDeprecationWarning(FutureWarning):
    """Something of Steersman's was renamed, and the old name will be gone."""


@frozen
class Renamed:
    """`old` is called `new` since version `since`; the old name is gone in `until`, two minor releases later."""

    old: str
    new: str
    since: str
    until: str

    def told(self, what: str) -> str:
        """Return the sentence of the warning."""
        return f"{what} {self.old!r} is called {self.new!r} since {self.since}; the old name is gone in {self.until}"


HOOK_ARGUMENTS: dict[str, tuple[Renamed, ...]] = {}
"""The renamed arguments of each hook."""
CONFIG_KEYS: tuple[Renamed, ...] = ()
"""The renamed keys at the top of a config."""


def arguments_of(hook: str) -> dict[str, str]:
    """Return every name that an argument of a hook may be asked for by, with its name today."""
    old = {renamed.old: renamed.new for renamed in HOOK_ARGUMENTS.get(hook, ())}
    return {**{name: name for name in HOOKS[hook]}, **old}


def hookspecs() -> type[Any]:
    """Return the contract with the old argument names beside the new: pluggy then warns at the plugin's own line."""
    return type("Hooks", (), {hook: _with_old_names(hook, getattr(Hooks, hook)) for hook in HOOKS})


def _with_old_names(hook: str, spec: FunctionType) -> FunctionType:
    renamed = HOOK_ARGUMENTS.get(hook, ())
    if not renamed:
        return spec

    code = spec.__code__
    names = (*code.co_varnames[: code.co_argcount], *(r.old for r in renamed))
    code = code.replace(co_argcount=len(names), co_nlocals=len(names), co_varnames=names)
    extended = FunctionType(code, spec.__globals__, hook)
    extended.__qualname__ = spec.__qualname__
    told = {r.old: SteersmanDeprecationWarning(r.told(f"the argument of the hook {hook}")) for r in renamed}
    marker = pluggy.HookspecMarker("steersman")
    return marker(warn_on_impl_args=told)(extended)


def with_new_names(cls: type[Any], options: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the options of a strategy under their names of today, warning of each old one at the class itself.

    A strategy lists what it renamed as `renamed_options: ClassVar[Mapping[str, str]] = {"old": "new"}`.
    """
    renamed = cast("Mapping[str, str]", getattr(cls, "renamed_options", {}))
    named = dict(options)
    for old, new in renamed.items():
        if old in named and new not in named:
            named[new] = named.pop(old)
            _warn_at(cls, f"{path}.{old}: this option of {cls.__name__} is called {new!r} now")
    return named


def with_new_keys(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what a config says under the keys of today, warning of each old one with the config's name."""
    named = dict(values)
    for renamed in CONFIG_KEYS:
        if renamed.old in named and renamed.new not in named:
            named[renamed.new] = named.pop(renamed.old)
            warnings.warn_explicit(renamed.told(f"{source}: the key"), SteersmanDeprecationWarning, source, 1)
    return named


def _warn_at(cls: type[Any], message: str) -> None:
    try:
        file, line = inspect.getsourcefile(cls) or "unknown", inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):
        file, line = cls.__module__, 1
    warnings.warn_explicit(message, SteersmanDeprecationWarning, file, line)
