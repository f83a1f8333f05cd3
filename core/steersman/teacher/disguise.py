"""An object of somebody else with a few methods of ours, that still is what it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

_OURS = "_steersman"


@cache
def _subclass(kind: Any, methods: Callable[[Any], dict[str, Any]]) -> Any:
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {_OURS: None, **names, **methods(kind)})


def disguise(thing: Any, methods: Callable[[Any], dict[str, Any]], ours: object) -> None:
    """Make `thing` an instance of a subclass of its own class with these methods, which find `ours` by `behind`."""
    thing.__class__ = _subclass(_class_of(thing), methods)
    setattr(thing, _OURS, ours)


def kind_of(thing: object) -> Any:
    """Return the class that an object had before it was disguised."""
    kind = _class_of(thing)
    return kind.__bases__[0] if hasattr(kind, _OURS) else kind


def _class_of(thing: object) -> Any:
    return type(thing)


def behind(thing: Any) -> Any:
    """Return what an object was disguised with, None where it was not."""
    return getattr(thing, _OURS, None)
