"""Which of many runs are shown."""

from __future__ import annotations

import math

import pytest

from steersman.results.picking import MOST_RUNS, OF_MANY, Picked, spread
from steersman.results.run import LAST, Choice, ReplayedRun, TaskMetric


def run_apart(number: int, by: float) -> ReplayedRun:
    """Return a run whose two choices have the accuracies 1 and 1 - `by`."""
    return ReplayedRun(str(number), task_metrics=(TaskMetric("acc", True, 1.0, {"a": 1.0, LAST: 1.0 - by}),))


def picked_of(*runs: ReplayedRun) -> Picked:
    picked = Picked()
    for run in runs:
        picked.add(run)
    return picked


def test_few_runs_are_all_shown():
    """Up to thirty runs are shown in the order in which they came."""
    picked = picked_of(*(run_apart(n, n / 100) for n in range(MOST_RUNS)))
    assert [run.path for run in picked.runs] == [str(n) for n in range(30)]
    assert not picked.of_many


def test_of_many_those_that_differ_most():
    """Of more than thirty the ten that differ most are shown, the one that differs most first."""
    apart = [(n * 7) % 40 for n in range(40)]
    picked = picked_of(*(run_apart(n, by / 100) for n, by in enumerate(apart)))
    assert picked.of_many
    assert [apart[int(run.path)] for run in picked.runs] == [39, 38, 37, 36, 35, 34, 33, 32, 31, 30]
    assert len(picked.runs) == OF_MANY


def test_among_equals_the_earlier():
    """Of runs that differ equally those that came first are shown, in their order."""
    picked = picked_of(*(run_apart(n, 0.5) for n in range(50)))
    assert [run.path for run in picked.runs] == [str(n) for n in range(10)]


def test_runs_that_could_not_be_read_are_not_shown():
    """A run without anything to show takes no place."""
    picked = picked_of(ReplayedRun("a", error="it is no JSON"), run_apart(1, 0.1))
    assert (picked.seen, [run.path for run in picked.runs]) == (1, ["1"])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (ReplayedRun("r"), 0.0),
        (run_apart(1, 0.25), 0.25),
        (ReplayedRun("r", task_metrics=(TaskMetric("wer", False, 0.2, {"a": 0.2, LAST: 0.3}),)), 0.5),
        (ReplayedRun("r", task_metrics=(TaskMetric("f1", True, 0.0, {"a": 0.0, LAST: -0.3}),)), 0.3),
        (ReplayedRun("r", choices={"a": Choice(1, eval_loss=1.5)}, last_evaluation=Choice(2, eval_loss=1.0)), 0.5),
        (ReplayedRun("r", choices={"a": Choice(1, eval_loss=math.nan)}, last_evaluation=Choice(2, eval_loss=1.0)), 0.0),
        (ReplayedRun("r", choices={"a": Choice(1)}), 0.0),
    ],
)
def test_how_far_the_choices_lie_apart(run, expected):
    """By task metric relative to the best, which may be zero; without one by the finite eval losses; else not at all."""
    assert spread(run) == pytest.approx(expected)
