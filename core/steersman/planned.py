"""A config planned once for many runs: its strategies are found and checked once, and made anew for each run."""

from __future__ import annotations

import copy
from typing import Any

import attrs
from attrs import frozen

from steersman.calls import Hooks
from steersman.config import Config, ConfigError
from steersman.config.structuring import structure
from steersman.loaded import Loaded
from steersman.loading import load, register


@frozen
class Planned:
    """A config whose strategies are known. `strategies` are never run themselves: each run has `fresh` ones.

    With `copies` a strategy given in Python as an object is copied for each run, else every run asks the object itself.
    """

    config: Config
    strategies: tuple[Loaded, ...]
    hooks: Hooks
    copies: bool = True

    def fresh(self) -> tuple[Loaded, ...]:
        """Return the strategies anew, as they are at the begin of a run; with `copies` no two runs share anything."""
        return tuple(
            loaded.with_strategy(_anew(loaded)) if self.copies or not loaded.is_given else loaded
            for loaded in self.strategies
        )


def plan(config: Config, problems: list[str], *, effects: bool = True, copies: bool = True) -> Planned | None:
    """Return the plan of a config, or None with a sentence for each fault appended to `problems`.

    Without `effects`, strategies that act outside the run are left out. For `copies` see Planned.
    """
    found: list[str] = []
    strategies = load(config, found, effects=effects)
    kept: list[Loaded] = []
    for loaded in strategies:
        try:
            kept.append(loaded.with_strategy(_anew(loaded)) if copies or not loaded.is_given else loaded)
        except Exception as error:
            found.append(
                f"{loaded.name}: it cannot be made anew for each run ({type(error).__name__}: {error}); "
                "name it in the config, as FILE:CLASS or by its installed name, instead of giving an object"
            )
    problems += found
    if problems:
        return None
    hooks = Hooks.registered(register(tuple(kept)), [loaded.name for loaded in kept])
    return Planned(config, tuple(kept), hooks, copies)


def _anew(loaded: Loaded) -> object:
    """Return a strategy of the same class with the same options, as it is before a run."""
    if loaded.is_given:
        return copy.deepcopy(loaded.strategy)
    cls: type[Any] = type(loaded.strategy)
    if not loaded.options or not attrs.has(cls):
        return cls()
    problems: list[str] = []
    made = structure(copy.deepcopy(loaded.options), cls, loaded.name, problems)
    if made is None:
        raise ConfigError(loaded.name, problems)
    return made
