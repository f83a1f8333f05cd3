"""Turns what a test names, instances or classes and words of a config, into a config and strategies ready to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Unpack, cast
from weakref import WeakKeyDictionary

import attrs
from attrs import evolve, frozen

from steersman.config import Config, ConfigError, Use, read
from steersman.loaded import Loaded
from steersman.loading import load
from steersman.testing.settings import Asked, config_of, made_of


@frozen
class Cast:
    """A config and the strategies it names, which are objects: nothing that is installed is looked for.

    `wrap` returns what stands in for the first strategy.
    """

    config: Config
    wrap: Callable[[object], object] | None = None

    def strategies(self) -> tuple[Loaded, ...]:
        """Return the strategies, ready to run. Raises ConfigError where one is none."""
        problems: list[str] = []
        loaded = load(self.config, problems)
        if problems:
            raise ConfigError("the strategies of this test", problems)
        if self.wrap is None:
            return loaded
        return (evolve(loaded[0], strategy=self.wrap(loaded[0].strategy)), *loaded[1:])

    def anew(self) -> Cast:
        """Return the same strategies made anew with the same options, as a resumed run makes them."""
        use = tuple(evolve(use, instance=made_anew(use.instance)) for use in self.config.use)
        return evolve(self, config=evolve(self.config, use=use))


def cast_of(strategies: Iterable[object], **asked: Unpack[Asked]) -> Cast:
    """Return who is asked, and how.

    Raises TypeError for what is no strategy, ConfigError with every fault of the rest.
    """
    raw = config_of(strategies, **asked)
    uses, problems = uses_of(raw["use"]), list[str]()
    first = {type(use.instance).__name__: use.instance for use in reversed(uses)}
    config = evolve(read({**raw, "use": list(first.values())}, problems), use=uses)
    load(config, problems)
    if problems:
        raise ConfigError("what this test asks for", problems)
    return Cast(config)


def made_anew(strategy: object) -> object:
    """Return a strategy of the same class with the same options and nothing to remember."""
    cls = type(strategy)
    if not attrs.has(cls):
        return made_of(cls)
    fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))
    return cls(**{a.alias or a.name: getattr(strategy, a.name) for a in fields if a.init})


def uses_of(strategies: Iterable[object]) -> tuple[Use, ...]:
    """Return how a config names strategies given as objects; a second of one name has a name of its own."""
    uses: list[Use] = []
    seen: Counter[str] = Counter()
    for i, strategy in enumerate(strategies):
        use = _use_of(strategy)
        seen[use.name] += 1
        name = use.name if seen[use.name] == 1 else f"{use.name}-{seen[use.name]}"
        uses.append(evolve(use, name=name, instance=strategy, index=i))
    return tuple(uses)


def _use_of(strategy: object) -> Use:
    cls = type(strategy)
    if cls not in _USES:
        (use,) = read({"extends": [], "use": [strategy]}).use
        _USES[cls] = evolve(use, instance=None)
    return _USES[cls]


_USES: WeakKeyDictionary[type[Any], Use] = WeakKeyDictionary()
