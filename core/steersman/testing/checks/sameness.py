"""Checks that a strategy decides the same: each time it is asked, and after a resume."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import evolve

from steersman.journal import from_json, to_json
from steersman.records import Record
from steersman.strategies import restore_state, state_of
from steersman.testing.afresh import afresh
from steersman.testing.casting import made_anew
from steersman.testing.clocks import another_time
from steersman.testing.contents import contents, shown
from steersman.testing.eventful import eventful
from steersman.testing.events import Event, Kept, Resume, step_of
from steersman.testing.seeds import seeded
from steersman.testing.trial import Trial
from steersman.testing.trials import Make, tried

__tracebackhide__ = True
_CUTS = 7
_HOLDS = "a field made with `state(...)` holds JSON values of the type it is annotated with"


def deterministic(make: Make) -> None:
    """Two of it decide the same of the same run, whatever they heard before, the random generators and the clock say.

    The first comes from a copy of its module, and the others have been asked of another run before: so what is
    remembered in a global is seen.
    """
    events, other = eventful(), _another(eventful())
    module = sys.modules.get(type(make()).__module__)
    with tempfile.TemporaryDirectory(prefix="steersman-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with seeded(1):
            tried(make, other, folder=folder)
        for run in (other, events):
            with seeded(1), afresh(make) as make_afresh:
                first = tried(make_afresh, run, folder=folder)
            with seeded(1):
                _same(first, tried(make, run, folder=folder), "another instance, of the same run,")
        with seeded(20_240_229):
            _same(first, tried(make, events, folder=folder), "with other seeds of the random generators it")
        with seeded(1), another_time(module):
            _same(first, tried(make, events, folder=folder), "at another time of another day it")


def state_restored(make: Make) -> None:
    """What it remembers survives a checkpoint, and a run that is cut and resumed is decided as one that is not."""
    events = eventful()
    borders = [i for i in range(1, len(events)) if step_of(events[i]) > step_of(events[i - 1])]
    cuts = [(border,) for border in borders[3 :: max(len(borders) // _CUTS, 1)]]
    with tempfile.TemporaryDirectory(prefix="steersman-", ignore_cleanup_errors=True) as name:
        for cut in (*cuts, tuple(borders)):
            whole = tried(make, _cut(events, cut, Kept()), folder=Path(name))
            _state_survives(whole)
            resumed = tried(make, _cut(events, cut, Resume()), folder=Path(name))
            where = f"step {step_of(events[cut[0] - 1])}" if len(cut) == 1 else "every step"
            told = whole.difference(resumed, f"in the same run, resumed at {where}, it")
            if told:
                raise AssertionError(
                    f"{told}. What it remembers is in fields made with `state(...)`, or is computed again from `run`"
                )


def _same(first: Trial, other: Trial, who: str) -> None:
    told = first.difference(other, who)
    if told:
        raise AssertionError(f"{told}. What it decides depends on its options and on the run alone")


def _another(events: Iterable[Event]) -> list[Event]:
    """Return a run with other metrics at the same steps."""
    return [
        evolve(event, metrics={name: 1.37 * value for name, value in event.metrics.items()})
        if isinstance(event, Record)
        else event
        for event in events
    ]


def _cut(events: Iterable[Event], cuts: Sequence[int], by: Event) -> list[Event]:
    """Return the events with one more before each of `cuts`."""
    told: list[Event] = []
    for i, event in enumerate(events):
        told += [by, event] if i in cuts else [event]
    return told


def _state_survives(played: Trial) -> None:
    """What a strategy remembers at the end of a run comes back from JSON as it was."""
    before = state_of(played.strategy)
    written = json.loads(json.dumps(to_json(before), allow_nan=False))
    fresh = made_anew(played.strategy)
    try:
        restore_state(fresh, from_json(written))
    except Exception as error:
        raise AssertionError(
            f"{played.name} cannot take back what it remembers: {type(error).__name__}: {error}; {_HOLDS}"
        ) from None
    for name, value in state_of(fresh).items():
        if contents(value) != contents(before[name]):
            was, now = shown(before[name]), shown(value)
            raise AssertionError(
                f"{played.name} remembers {name} = {was} after a run, and gets {now} back from a checkpoint; {_HOLDS}"
            )
