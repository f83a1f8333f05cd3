"""Checks of how a strategy behaves: it changes nothing, and returns only what it may."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from steersman.run import Run
from steersman.testing.checks.generated import each
from steersman.testing.eventful import eventful
from steersman.testing.generating import runs
from steersman.testing.seeds import generators
from steersman.testing.trials import Make, tried
from steersman.testing.watching import Watched, options_of, parts_of

__tracebackhide__ = True


def mutates_nothing(make: Make) -> None:
    """It changes nothing that it is given and none of its options, and draws from no global random generator."""
    faults: list[str] = []

    def around(strategy: object, hook: str, given: Mapping[str, object], call: Callable[[], object]) -> object:
        before, drawn = {**parts_of(given), **options_of(strategy)}, generators()
        try:
            return call()
        finally:
            after, now = {**parts_of(given), **options_of(strategy)}, generators()
            changed = [f"changed {part}" for part in before if before[part] != after.get(part)]
            drew = [f"drew from the global random generator of {name}" for name in drawn if drawn[name] != now[name]]
            faults.extend(f"{fault} in {hook} at step {_step(given)}" for fault in (*changed, *drew))

    played = tried(make, eventful(), wrap=lambda strategy: Watched(strategy, functools.partial(around, strategy)))
    if faults:
        only = "A strategy returns what it wants, and changes only its own fields made with `state(...)`"
        raise AssertionError(f"{played.name} {faults[0]}. {only}")


def allowed_types(make: Make) -> None:
    """Every hook returns only what it may; one whose name starts with `on_` returns nothing."""
    unheard: list[str] = []

    def around(hook: str, given: Mapping[str, object], call: Callable[[], object]) -> object:
        answer = call()
        if hook.startswith("on_") and answer is not None:
            kind = type(answer).__name__
            unheard.append(f"returned {kind} from {hook} at step {_step(given)}, and nobody hears what {hook} returns")
        return answer

    def returns_what_it_may(events: Any) -> None:
        played = tried(make, events, wrap=lambda strategy: Watched(strategy, around))
        for fault in (*played.failures(of_type=True).values(), *(f"{played.name} {told}" for told in unheard)):
            raise AssertionError(fault)

    returns_what_it_may(eventful())
    returns_what_it_may(())
    each(runs(), returns_what_it_may)


def _step(given: Mapping[str, object]) -> int:
    """Return the step of the run at a call; of what else it was given where it asked for no run."""
    run = next((value for value in given.values() if isinstance(value, Run)), None)
    steps = (getattr(value, "step", None) or getattr(value, "last_step", None) for value in given.values())
    return run.step if run is not None else next((step for step in steps if step is not None), 0)
