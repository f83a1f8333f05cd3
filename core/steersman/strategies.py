"""What an author writes a strategy with: the hook marker and mutable state."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import attrs
import pluggy

from steersman.config.structuring import structure_value

T = TypeVar("T")

hookimpl = pluggy.HookimplMarker("steersman")
"""Marks a method of a strategy as the implementation of the hook of that name."""

_STATE = "steersman.state"


def state(default: T) -> T:
    """Return an attrs field for mutable state: no option, JSON values only, saved in checkpoints and restored.

    `default` is copied for each instance.
    """
    return attrs.field(init=False, factory=lambda: copy.deepcopy(default), metadata={_STATE: True})


def state_of(strategy: object) -> dict[str, Any]:
    """Return the state fields of a strategy, copied."""
    return {a.name: copy.deepcopy(getattr(strategy, a.name)) for a in _state_fields(strategy)}


def restore_state(strategy: object, saved: Mapping[str, Any]) -> None:
    """Give a strategy its state back; a field it has no more is left out, one that is new keeps its default."""
    for a in _state_fields(strategy):
        if a.name in saved:
            value = saved[a.name]
            setattr(strategy, a.name, structure_value(value, a.type) if a.type is not None else value)


def _state_fields(strategy: object) -> list[attrs.Attribute[Any]]:
    cls = type(strategy)
    if not attrs.has(cls):
        return []
    attrs.resolve_types(cls)
    fields = cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))
    return [a for a in fields if a.metadata.get(_STATE)]
