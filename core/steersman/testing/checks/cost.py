"""Checks of what a strategy costs: what it remembers over ten thousand evaluations, and the time of a call."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping

from steersman.journal import to_json
from steersman.records import Record
from steersman.strategies import state_of
from steersman.testing.eventful import eventful
from steersman.testing.events import step_of
from steersman.testing.trials import Make, tried
from steersman.testing.watching import Watched

__tracebackhide__ = True
STATE_LIMIT = 64 * 1024
"""Bytes of JSON that what a strategy remembers may take in a checkpoint."""
BUDGET_MS = 5.0
"""Milliseconds of CPU that a call of a hook may take, on average over a run."""
_ROUNDS = 3


def ten_thousand_evaluations(make: Make) -> None:
    """Through ten thousand evaluations, each with a log, it does not fail, and remembers at most 64 KB of JSON."""
    played = tried(make, _long(10_000), mode="advise", check_every=500, beside_another=False)
    for failure in played.failures(of_type=False).values():
        raise AssertionError(f"{failure}; the run had ten thousand evaluations")
    fields = {name: len(json.dumps(to_json(value))) for name, value in state_of(played.strategy).items()}
    size, largest = sum(fields.values()), max(fields, key=lambda name: fields[name], default="")
    if size > STATE_LIMIT:
        raise AssertionError(
            f"{played.name} remembers {size:,} bytes of JSON after ten thousand evaluations, most of it in "
            f"{largest!r}; a checkpoint carries at most {STATE_LIMIT:,}: keep the newest values, or a sum of all"
        )


def time_per_call(make: Make, budget_ms: float = BUDGET_MS) -> None:
    """A call of a hook takes at most `budget_ms` of CPU on average over a run, in the best of three runs."""
    best: dict[str, float] = {}
    for _ in range(_ROUNDS):
        spent: dict[str, list[float]] = {}
        tried(make, eventful(), wrap=functools.partial(Watched, around=functools.partial(_timed, spent)))
        for hook, calls in spent.items():
            best[hook] = min(best.get(hook, float("inf")), sum(calls) / len(calls))
    name = type(make()).__name__
    for hook, seconds in best.items():
        if 1000 * seconds > budget_ms:
            raise AssertionError(
                f"{name} takes {1000 * seconds:.1f} ms of CPU a call in {hook}, on average over a run of "
                f"{step_of(eventful()[-1])} steps; its budget is {budget_ms:g} ms (budget_ms)"
            )


def _timed(spent: dict[str, list[float]], hook: str, given: Mapping[str, object], call: Callable[[], object]) -> object:
    begin = time.thread_time()
    try:
        return call()
    finally:
        spent.setdefault(hook, []).append(time.thread_time() - begin)


def _long(evaluations: int) -> Iterator[Record]:
    """Yield a run that learns to its end: there the newest checkpoint is the best, and the ranking stays short."""
    for i in range(1, evaluations + 1):
        step, left = 10 * i, 1 / (1 + i / 500)
        yield Record(step, "train", {"loss": 1 + 2 * left, "grad_norm": 1 + left, "learning_rate": 1e-4}, i / 10)
        yield Record(step, "eval", {"eval_loss": 1 + 2 * left, "eval_accuracy": 1 - left / 2}, i / 10)
