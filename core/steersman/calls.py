"""One hook of one strategy, ready to be called, with what its calls took."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy
from attrs import define, frozen

from steersman.deprecations import arguments_of
from steersman.hookspecs import HOOKS
from steersman.loaded import Loaded
from steersman.run import Run


@define(eq=False)
class Call:
    """A hook of a strategy. `nanoseconds` is what the `sampled` of its calls took together."""

    hook: str
    loaded: Loaded
    function: Callable[[Run, Any], Any]
    calls: int = 0
    sampled: int = 0
    nanoseconds: int = 0

    @property
    def time_budget(self) -> float | None:
        return self.loaded.time_budget


@frozen
class Hooks:
    """Which strategies of a config answer each hook, in config order, and what each asks for."""

    of: Mapping[str, tuple[tuple[int, tuple[str, ...]], ...]]

    @classmethod
    def registered(cls, plugins: pluggy.PluginManager, names: Sequence[str]) -> Hooks:
        """Return the hooks of the strategies that are registered under `names`."""
        order = {name: i for i, name in enumerate(names)}
        return cls(
            {
                hook: tuple(
                    (order[impl.plugin_name], asked_for(impl.function, hook))
                    for impl in sorted(caller.get_hookimpls(), key=lambda impl: order[impl.plugin_name])
                )
                for hook, caller in plugins.hook.__dict__.items()
                if isinstance(caller, pluggy.HookCaller)
            }
        )

    def calls(self, strategies: Sequence[Loaded]) -> dict[str, tuple[Call, ...]]:
        """Return what to call of these strategies, which are of the classes that were registered, in the same order."""
        return {
            hook: tuple(
                Call(hook, strategies[i], positional(getattr(strategies[i].strategy, hook), hook, wanted))
                for i, wanted in implemented
            )
            for hook, implemented in self.of.items()
        }


def asked_for(function: Callable[..., Any], hook: str) -> tuple[str, ...]:
    """Return the arguments a function asks for, by the names they have today."""
    today = arguments_of(hook)
    return tuple(today[p] for p in inspect.signature(function).parameters if p in today)


def positional(
    function: Callable[..., Any], hook: str, wanted: tuple[str, ...] | None = None
) -> Callable[[Run, Any], Any]:
    """Return `function` as one that takes (run, value), whatever arguments it asks for, in whatever order.

    It may ask for an argument by a name that it had in an earlier release. `wanted` is what it asks for, where known.
    """
    wanted = asked_for(function, hook) if wanted is None else wanted
    first, *rest = HOOKS[hook]
    second = rest[0] if rest else ""
    if wanted == (first, second):
        return function
    if wanted == (first,):
        return lambda run, value: function(run)
    if wanted == (second,):
        return lambda run, value: function(value)
    if wanted == (second, first):
        return lambda run, value: function(value, run)
    return lambda run, value: function()
