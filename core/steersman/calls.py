"""One hook of one strategy, ready to be called, with what its calls took."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from attrs import define

from steersman.deprecations import arguments_of
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


def positional(function: Callable[..., Any], hook: str) -> Callable[[Run, Any], Any]:
    """Return `function` as one that takes (run, value), whatever arguments it asks for, in whatever order.

    It may ask for an argument by a name that it had in an earlier release.
    """
    today = arguments_of(hook)
    wanted = tuple(today[p] for p in inspect.signature(function).parameters if p in today)
    first, *rest = dict.fromkeys(today.values())
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
