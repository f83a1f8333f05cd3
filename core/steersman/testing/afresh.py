"""A strategy from a copy of its module: what the module remembers outside of the strategy is not there."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Generator
from typing import Any, cast

import attrs

from steersman.config.structuring import options_of, structure


@contextlib.contextmanager
def afresh(make: Callable[[], object]) -> Generator[Callable[[], object]]:
    """Give a maker of the same strategy with the same options, its class defined anew.

    A class that no file holds at its top (one of a function, or typed at a prompt), and one whose options no config can
    give, is given as it is.
    """
    cls = type(make())
    name = f"{sys.modules[cls.__module__].__package__ or ''}._steersman_copy".lstrip(".")
    try:
        anew = _defined_anew(cls, name)
        is_like = anew is not None and _like(make(), anew) is not None
        yield (lambda: _like(make(), anew)) if anew is not None and is_like else make
    finally:
        sys.modules.pop(name, None)


def _defined_anew(cls: type[Any], name: str) -> type[Any] | None:
    file = getattr(sys.modules[cls.__module__], "__file__", None)
    spec = importlib.util.spec_from_file_location(name, file) if file and cls.__qualname__.isidentifier() else None
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception:
        return None
    anew: object = getattr(module, cls.__name__, None)
    return anew if isinstance(anew, type) and anew.__module__ == name else None


def _like(strategy: object, cls: type[Any]) -> object:
    """Return a strategy of the class with the options of another, which may hold values of the other's module."""
    if not attrs.has(cls):
        return cls()
    options = options_of(type(strategy))
    told = attrs.asdict(cast("Any", strategy), filter=lambda a, _: a.init)
    return structure({name: told[a.name] for name, a in options.items()}, cls, cls.__name__, [])
