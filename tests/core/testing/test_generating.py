"""The generated runs hold what they say they hold, so that a check over them looks at it."""

from __future__ import annotations

import itertools
import math

from hypothesis import Phase, given, settings

from steersman.testing.checks.generated import each
from steersman.testing.generating import FLOAT32, evaluated, runs


def values(records):
    return [value for record in records for value in record.metrics.values()]


ODDITIES = {
    "nothing": lambda run: not run,
    "an evaluation before any log": lambda run: run and run[0].kind == "eval" and any(r.kind == "train" for r in run),
    "NaN": lambda run: any(math.isnan(value) for value in values(run)),
    "infinity": lambda run: any(value == -math.inf for value in values(run)),
    "zero and negative": lambda run: 0.0 in values(run) and any(value < 0 for value in values(run)),
    "huge": lambda run: FLOAT32 in values(run),
    "a log without loss": lambda run: any(r.kind == "train" and r.metrics and "loss" not in r.metrics for r in run),
    "an evaluation without loss": lambda run: any(r.kind == "eval" and "eval_loss" not in r.metrics for r in run),
    "a named set": lambda run: any("eval_chat_loss" in r.metrics for r in run),
    "a step twice": lambda run: any((a.step, a.kind) == (b.step, b.kind) for a, b in itertools.pairwise(run)),
    "a jump": lambda run: any(b.step - a.step == 500 for a, b in itertools.pairwise(run)),
    "no epochs": lambda run: run and all(r.epoch is None and r.elapsed is None for r in run),
    "rewards": lambda run: any("reward" in r.metrics and "kl" in r.metrics for r in run),
    "usage and a summary": lambda run: any(r.usage for r in run) and run[-1].kind == "summary",
    "several evaluations": lambda run: evaluated(run) > 2,
}


def test_what_may_come_does_come():
    """Each oddity that is named is among a few hundred runs."""
    seen: set[str] = set()

    @settings(max_examples=300, phases=[Phase.generate])
    @given(runs())
    def look(run):
        seen.update(name for name, is_in in ODDITIES.items() if is_in(run))

    look()
    assert seen == set(ODDITIES)


@given(runs(finite=True))
def test_finite_runs_are_finite(run):
    """Where only finite values are asked for, every one is."""
    assert all(math.isfinite(value) for value in values(run))


@given(runs())
def test_steps_never_go_back(run):
    """Records come in the order of their steps, and an evaluation has the names of one."""
    assert [r.step for r in run] == sorted(r.step for r in run)
    assert all(name.startswith("eval_") for r in run if r.kind == "eval" for name in r.metrics)


def test_the_examples_are_the_same_each_time():
    """A check sees the same runs every time it is made, so that it passes or fails for good."""
    first: list[str] = []
    second: list[str] = []
    for seen in (first, second):
        each(runs(), lambda run, seen=seen: seen.append(repr(run)))
    assert first == second
    assert len(first) == 25
