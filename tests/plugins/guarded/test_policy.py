"""What `guarded` does with a change that others make or refuse, and that no unit of the loss matters to it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from guarded_words import BEST, RATE, STEADY, evaluated, found, onward, played, rates, rollbacks
from hypothesis import given, settings
from hypothesis import strategies as st

from steersman import Adjustment
from steersman.testing import Played, a_run
from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.memory import Cut, Memory, Trial
from steersman_plugins.guarded.policy import Guarded
from steersman_plugins.recovery import Recovery
from steersman_plugins.trend_health import TrendHealth

DIVERGED = onward(evaluated(STEADY, STEADY), [1.8, 1.8], [1.9, 1.9])


def test_a_rollback_that_is_only_advised_leaves_no_trace() -> None:
    """In `advise` nothing goes back: the next evaluation is as bad, is found again, and nothing counts as undone."""
    strategy = TrendHealth()

    told = DIVERGED.play(EvalLoss(), strategy, mode="advise", check_every="eval", recovery=BEST)

    assert (found(told), rates(told), rollbacks(told)) == ([(101, "diverged"), (111, "diverged")], [], [])
    assert (strategy.memory["undone"], strategy.memory["cut"], strategy.memory["overfits"]) == ([], None, 0)


def test_an_undone_evaluation_does_not_count() -> None:
    """After a rollback the same good losses as before are judged beside the good ones alone: nothing is found."""
    told = played(onward(evaluated(STEADY, STEADY), [1.8, 0.87, 0.86, 0.85], [9.0, 0.87, 0.86, 0.85]))

    assert found(told) == [(101, "diverged")]


@pytest.mark.parametrize("mode", ["act", "advise"])
def test_a_learning_rate_that_cannot_be_changed_is_no_harm(mode: Any) -> None:
    """The config does not name it: trials are proposed and refused, rollbacks go back without a cut, nobody fails."""
    crawl = [1.999, 1.998, 1.997, 1.996, 1.995]
    story = a_run(None).log(loss=2.0)

    told = onward(story, [*crawl, *STEADY, 1.8, 1.8], [*crawl, *STEADY, 1.9, 1.9]).play(
        EvalLoss(), TrendHealth(), mode=mode, check_every="eval", recovery=BEST
    )

    assert (told.errors, told.changes) == ((), ())
    assert len(rollbacks(told)) == (2 if mode == "act" else 0)


def test_what_a_person_puts_back_is_not_taken_back_again() -> None:
    """`steersman revert` while a higher rate is tried and a cut waits to be restored: there is nothing left to undo."""
    memory = Memory(evaluations=7, cut=Cut(0.5, 6, 9), trial=Trial("slow", 5.0, 7, 1.5, 0.01))
    memory.raised = memory.trial
    policy = Guarded(EvaluatedRules(), memory)

    policy.hear_change(Adjustment(70, None, "learning_rate", "steersman", 5e-3, 1e-3, 1e-3, 1.0, "steersman revert"))

    assert (memory.trial, memory.raised, memory.cut, memory.changed_at) == (None, None, None, 7)


def test_the_first_loss_is_the_first_however_many_were_logged_before_an_evaluation() -> None:
    """Five hundred logs before the first evaluation: the run began at 2, not at what the newest of them say."""
    story = a_run(None, learning_rate=RATE)
    for i in range(500):
        story = story.log(loss=2.0 - i / 500)
    strategy = TrendHealth()

    story.evaluate(eval_loss=1.0).play(EvalLoss(), strategy, check_every="eval")

    assert strategy.memory["start"] == 2.0


def test_checks_without_an_evaluation_are_not_judged() -> None:
    """With a check each four steps only those with an evaluation count; the divergence is found at its evaluation."""
    told = onward(evaluated(STEADY, STEADY), [1.8], [1.9]).play(EvalLoss(), TrendHealth(), check_every=1, recovery=BEST)

    assert [(step, name) for step, name in found(told) if name == "diverged"] == [(101, "diverged")]


@pytest.mark.parametrize(("well", "factors"), [(9, [0.5, 2.0]), (3, [0.5])])
def test_a_nan_is_cut_once_and_the_cut_restored_where_the_run_was_well_for_long(
    well: int, factors: list[float]
) -> None:
    """A sign and a rollback ask for a cut at once, one is made; it is taken back after nine good evaluations, not three."""
    story = evaluated(STEADY[:well], STEADY[:well]).log(steps=2, loss=math.nan)
    strategies = (EvalLoss(), TrendHealth(), Recovery(leaves_evaluated=True))

    told = onward(story, [0.86, 0.84], [0.86, 0.84]).play(*strategies, check_every="eval", recovery=BEST)

    assert len(rollbacks(told)) == 1
    assert [factor for _, factor, _ in rates(told)] == factors


def decisions(told: Played) -> list[tuple[object, ...]]:
    """Return what was found, proposed and done, without the figures in the words."""
    names = ("name", "severity", "action", "hyperparameter", "change", "verdict", "to_step", "factor")
    kinds = ("finding", "proposal", "adjustment", "rollback")
    return [(e.step, e.kind, *(e.data.get(n) for n in names)) for e in told.entries if e.kind in kinds]


def asked(trains: list[float], evals: list[float], scale: float) -> Played:
    story = evaluated(trains, evals, scale=scale, grad_norm=0.5 * scale)
    strategies = (EvalLoss(), TrendHealth(), Recovery(leaves_evaluated=True))
    return story.play(*strategies, check_every="eval", recovery=BEST)


LOSSES = st.lists(st.tuples(st.floats(0.01, 4), st.floats(0.01, 4)), min_size=6, max_size=16)
WALK = st.lists(st.floats(-0.3, 0.2), min_size=6, max_size=20)


@given(LOSSES, st.integers(-10, 10))
@settings(max_examples=40)
def test_decisions_do_not_depend_on_the_unit_of_the_losses(pairs: list[tuple[float, float]], exponent: int) -> None:
    """Every loss and gradient norm times a power of two, exact in floating point: every decision is the same."""
    trains, evals = [t for t, _ in pairs], [e for _, e in pairs]

    assert decisions(asked(trains, evals, 1.0)) == decisions(asked(trains, evals, 2.0**exponent))


@given(WALK, st.integers(-10, 10))
@settings(max_examples=40)
def test_nor_do_they_in_a_course_that_wanders(steps: list[float], exponent: int) -> None:
    """The same for losses that wander by shares of themselves, as those of a run do."""
    course = [2.0]
    for step in steps:
        course.append(course[-1] * (1 + step))

    assert decisions(asked(course, course, 1.0)) == decisions(asked(course, course, 2.0**exponent))


@pytest.mark.parametrize(
    "course",
    [
        [*STEADY, 1.8, 1.8, 0.86, 0.84],
        [1.999, 1.998, 1.997, 1.996, 1.991, 1.966, 1.9, 1.8, 2.3, 1.75],
        [4.0, 1.9, 1.7],
        [1.6, 1.3, 1.1, 1.0, 1.05, 0.93, 1.04, 0.94, 1.06, 0.95, 1.03, 0.97, 1.02],
    ],
)
def test_stories_that_ask_for_much_are_told_alike_in_any_unit(course: list[float]) -> None:
    """A divergence, a crawl, a start that fails and a floor of noise: a thousandth and 1024 times the loss."""
    told = decisions(asked(course, course, 1.0))

    assert told
    assert told == decisions(asked(course, course, 2.0**-10)) == decisions(asked(course, course, 2.0**10))
