"""The config of a test, from words of a config and the strategies it names as objects."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, Unpack, cast

from steersman.rails import NO_RAILS

_NOT_HERE = ("use", "score", "extends")


class Asked(TypedDict):
    """How strategies are asked. `hyperparameters` may be changed; `more` are further keys of a config."""

    mode: str
    check_every: str | int
    rails: bool | Mapping[str, Any]
    hyperparameters: Iterable[str]
    more: Mapping[str, Any]


def config_of(strategies: Iterable[object], **asked: Unpack[Asked]) -> dict[str, Any]:
    """Return a config as it is written, its strategies as objects.

    Raises TypeError for what is no strategy, and for a key that would look for what is installed.
    """
    more = asked["more"]
    for key in _NOT_HERE:
        if key in more:
            raise TypeError(f"{key}= is not for a test: it asks the strategies it is given, never what is installed")
    return {
        "mode": asked["mode"],
        "check_every": asked["check_every"],
        "time_budget": None,
        **_railed(asked["rails"], more),
        "hyperparameters": {**{name: {} for name in asked["hyperparameters"]}, **more.get("hyperparameters", {})},
        "extends": [],
        "use": [made_of(strategy) for strategy in strategies],
    }


def made_of(strategy: object) -> object:
    """Return an instance: of a class, made with its defaults.

    Raises TypeError for a name, and where a class cannot be made without options.
    """
    if isinstance(strategy, str):
        raise TypeError(
            f"{strategy!r} is a name, and a test asks no strategy because it is installed: give the class or an "
            "instance, such as play(MedianLoss(window=5))"
        )
    if not inspect.isclass(strategy):
        return strategy
    try:
        return cast("type[Any]", strategy)()
    except Exception as error:
        name = strategy.__name__
        raise TypeError(f"{name}() cannot be made: {type(error).__name__}: {error}; give an instance") from error


def _railed(rails: bool | Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the further keys of a config with the rails: all off, those of an empty config, or the ones given."""
    if rails is False:
        return {**NO_RAILS, **more}
    return {**more} if rails is True else {**more, "rails": rails}
