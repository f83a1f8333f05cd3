"""Watches the calls of a strategy's hooks, from outside it, and what it is given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from steersman.hookspecs import HOOKS
from steersman.run import Run
from steersman.testing.contents import contents, fields_of

Around = Callable[[str, Mapping[str, object], Callable[[], object]], object]
"""Is told the hook, its arguments by name, and how to make the call; returns what the hook is to return."""
_MARKER = "steersman_impl"


class Watched:
    """Stands in for a strategy: each of its hooks is called through `around`; anything else is the strategy's own."""

    def __init__(self, strategy: object, around: Around) -> None:
        self.strategy = strategy
        for hook in hooks_of(strategy):
            setattr(self, hook, _through(around, hook, getattr(strategy, hook)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["strategy"], name)


def hooks_of(strategy: object) -> list[str]:
    """Return the hooks that a strategy implements."""
    return [hook for hook in HOOKS if hasattr(getattr(strategy, hook, None), _MARKER)]


def _through(around: Around, hook: str, function: Callable[..., object]) -> Callable[..., object]:
    names = [name for name in inspect.signature(function).parameters if name in HOOKS[hook]]

    @functools.wraps(function)
    def call(*arguments: object) -> object:
        def made() -> object:
            answer = function(*arguments)
            return list(cast("Iterator[object]", answer)) if isinstance(answer, Iterator) else answer

        return around(hook, dict(zip(names, arguments, strict=True)), made)

    return call


def parts_of(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return what a hook is given as plain values, by how its author writes it, such as `log.metrics`."""
    parts: dict[str, object] = {}
    for name, value in arguments.items():
        if isinstance(value, Run):
            parts |= _parts_of_run(value)
        elif fields := fields_of(value):
            parts |= {f"{name}.{a.name}": contents(getattr(value, a.name)) for a in fields}
        else:
            parts[name] = contents(value)
    return parts


def options_of(strategy: object) -> dict[str, object]:
    """Return the options of a strategy as plain values; one that is no attrs class has none."""
    return {f"self.{a.name}": contents(getattr(strategy, a.name)) for a in fields_of(strategy) if a.init}


def _parts_of_run(run: Run) -> dict[str, object]:
    came = {name: run.history[name] for name in run.history.names()}
    series = {n: (s.count, s.min, s.argmin, s.steps(), contents(s.last())) for n, s in came.items()}
    values = {name: contents(run.hyperparameters[name]) for name in run.hyperparameters}
    plain = ("windows", "checkpoints", "adjustments", "mode", "plan", "replaying", "step", "epoch", "elapsed")
    parts: dict[str, object] = {"run.history": series, "run.hyperparameters": values}
    return parts | {f"run.{name}": contents(getattr(run, name)) for name in plain}
