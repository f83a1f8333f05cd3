"""Checks of how a strategy is declared: its class, its options, and whether it can be pickled."""

from __future__ import annotations

import json
import pickle

import attrs

from steersman.config.effective import plain
from steersman.config.structuring import options_of, structure
from steersman.config.yaml_text import dumps, loads
from steersman.inspecting import faults_of
from steersman.journal import to_json
from steersman.strategies import state_of
from steersman.testing.contents import contents, shown
from steersman.testing.eventful import eventful
from steersman.testing.trials import Make, tried

__tracebackhide__ = True


def sound_class(make: Make) -> None:
    """It is an attrs class that compares by identity, has a docstring, and implements hooks that exist."""
    cls = type(make())
    name = cls.__name__
    faults = faults_of(cls, name)
    if faults:
        raise AssertionError("; ".join(faults))
    if not attrs.has(cls):
        raise AssertionError(f"{name} is no attrs class, so it can have no options: declare it with @define(eq=False)")
    if not (cls.__dict__.get("__doc__") or "").strip():
        raise AssertionError(f"{name} has no docstring; its first sentence is what users are told of it")


def options_round_trip(make: Make) -> None:
    """Its options survive JSON and YAML: written into a config and read again, they make the same strategy."""
    strategy = make()
    cls = type(strategy)
    if not attrs.has(cls):
        return
    name, fields = cls.__name__, options_of(cls)
    options = plain({key: getattr(strategy, a.name) for key, a in fields.items()})
    again = {"JSON": json.loads(json.dumps(to_json(options), allow_nan=False)), "YAML": loads(dumps(options))}
    for format_, read in again.items():
        problems: list[str] = []
        made = structure(read, cls, f"{name}.options", problems)
        if made is None:
            told = "; ".join(problems)
            raise AssertionError(f"the options of {name}, written as {format_}, cannot be read again: {told}")
        for key, a in fields.items():
            before, after = getattr(strategy, a.name), getattr(made, a.name)
            if contents(before) != contents(after):
                was, now = shown(before), shown(after)
                raise AssertionError(f"the option {key!r} of {name} is {was}, and {now} when read again from {format_}")


def picklable(make: Make) -> None:
    """It can be pickled before and after a run, with what it remembers."""
    strategy = make()
    name = type(strategy).__name__
    _pickled(strategy, f"{name}, as it is made,")
    _pickled(tried(make, eventful()).strategy, f"{name}, after a run,")


def _pickled(strategy: object, who: str) -> None:
    try:
        again = pickle.loads(pickle.dumps(strategy))
    except Exception as error:
        raise AssertionError(
            f"{who} cannot be pickled: {type(error).__name__}: {error}. Its fields hold plain values; what cannot be "
            "copied, such as a file or a lock, is opened in the hook that uses it"
        ) from None
    before, after = state_of(strategy), state_of(again)
    if contents(before) != contents(after):
        raise AssertionError(f"{who} remembers {shown(before)}, and {shown(after)} once pickled and read again")
