"""Checks of what a strategy survives: nothing at all, what is missing or not finite, one evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attrs import evolve
from hypothesis.strategies import SearchStrategy

from steersman.records import Record
from steersman.testing.checks.generated import each
from steersman.testing.eventful import eventful
from steersman.testing.events import Event
from steersman.testing.generating import FLOAT32, Logged, evaluated, runs
from steersman.testing.trials import Make, tried

__tracebackhide__ = True


def empty_run(make: Make) -> None:
    """In a run without a record it says nothing: no score, no proposal, no finding above `info`, no failure."""
    played = tried(make, (), beside_another=False)
    for failure in played.failures(of_type=False).values():
        raise AssertionError(f"{failure}; the run had no record")
    for said in played.said():
        if not (said.hook == "diagnose" and " (info: " in said.words):
            raise AssertionError(f"{played.name} {said.words} in {said.hook}, at the end of a run without a record")


def missing_metrics(make: Make) -> None:
    """It does not fail where a metric is missing, huge, zero, negative or late: any log may lack any of them."""
    for names in (("loss",), ("eval_loss", "eval_chat_loss"), ("reward", "reward_std")):
        events = [_without(event, names) for event in eventful(finite=True)]
        _survives(make, events, f"{names[0]} may never be logged")
    for value in (0.0, -1.0, FLOAT32):
        for every in (1, 3):
            _survives(make, _set(eventful(finite=True), value, every), f"any metric may be {value:g}")
    each(
        _several(runs(finite=True)),
        lambda run: _survives(make, run, "any log may lack any metric", knows_its_end=False),
    )


def nonfinite_metrics(make: Make) -> None:
    """It does not fail on NaN and infinity, which logs and history hold as they came."""

    def survives(events: Sequence[Event]) -> None:
        failures = tried(make, events).failures(of_type=False)
        if not failures:
            return
        also_tame = tried(make, [_tamed(event) for event in events]).failures(of_type=False)
        for moment, failure in failures.items():
            if moment not in also_tame:
                raise AssertionError(f"{failure}; any metric may be NaN or infinite")

    for value in (math.nan, math.inf, -math.inf):
        for every in (1, 3):
            survives(_set(eventful(), value, every))
    each(_several(runs()), survives)


def one_evaluation(make: Make) -> None:
    """It does not fail in a run that is evaluated once, before, between or after its logs, or at step 0 only."""
    metrics = {"eval_loss": 2.1, "eval_accuracy": 0.4}
    log = Record(10, "train", {"loss": 2.0, "grad_norm": 1.0, "learning_rate": 1e-4}, 1.0)
    for records in (
        (Record(10, "eval", metrics, 1.0),),
        (log, Record(10, "eval", metrics, 1.0)),
        (Record(0, "eval", metrics, 0.0), log),
        (Record(5, "eval", metrics, 0.5), log, evolve(log, step=20, epoch=2.0)),
        (log, Record(20, "eval", {"eval_loss": 2.1}, 2.0)),
    ):
        _survives(make, records, "the run was evaluated once", knows_its_end=False)


def _survives(make: Make, events: Iterable[Event], because: str, *, knows_its_end: bool = True) -> None:
    for failure in tried(make, events, knows_its_end=knows_its_end).failures(of_type=False).values():
        raise AssertionError(f"{failure}; {because}")


def _several(found: SearchStrategy[Logged]) -> SearchStrategy[Logged]:
    """Return the runs with no evaluation or several: one is a check of its own."""
    return found.filter(lambda records: evaluated(records) != 1)


def _tamed(event: Event) -> Event:
    if not isinstance(event, Record):
        return event
    return evolve(event, metrics={n: v if math.isfinite(v) else 1.0 for n, v in event.metrics.items()})


def _without(event: Event, names: Sequence[str]) -> Event:
    if not isinstance(event, Record):
        return event
    return evolve(event, metrics={other: value for other, value in event.metrics.items() if other not in names})


def _set(events: Iterable[Event], value: float, every: int) -> list[Event]:
    """Return the events with `value` for each metric of every so many-th record."""
    return [
        evolve(event, metrics=dict.fromkeys(event.metrics, value))
        if isinstance(event, Record) and i % every == 0
        else event
        for i, event in enumerate(events)
    ]
