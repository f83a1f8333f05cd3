"""What `guarded` makes of the evaluations of a run, through the real Supervisor: divergence, overfitting, silence."""

from __future__ import annotations

import random

import pytest
from guarded_words import RATE, STEADY, a_silent_run, evaluated, found, onward, played, rates, rollbacks

from steersman.testing import a_run

EVALS = tuple(loss + 0.05 for loss in STEADY)
WELL = evaluated(STEADY, EVALS)
"""Nine evaluations of a healthy run, the newest at step 91."""
OVERFITTED = ((0.8, 0.75, 0.7, 0.65, 0.6, 0.55), (1.0, 1.05, 1.11, 1.17, 1.24, 1.32))


def test_a_divergence_after_a_long_healthy_time_goes_back_without_a_cut() -> None:
    """Train and eval loss that jump after nine good evaluations go back to the best one; the rate was right for long."""
    told = played(onward(WELL, [1.8], [1.9]))

    assert (found(told), rollbacks(told), rates(told)) == ([(101, "diverged")], [(101, 91)], [])


def test_a_second_divergence_at_once_halves_the_rate_until_it_is_well() -> None:
    """Diverged again at the evaluation after: x0.5; one evaluation that is well later the rate is what it was."""
    told = played(onward(WELL, [1.8, 1.8, 0.86, 0.84], [1.9, 1.9, 0.91, 0.9]))

    assert rollbacks(told) == [(101, 91), (111, 91)]
    assert [(step, factor) for step, factor, _ in rates(told)] == [(111, 0.5), (121, 2.0)]


def test_a_second_divergence_soon_after_halves_the_rate_for_good() -> None:
    """Diverged again after two good evaluations: the run was not well for long with that rate, so x0.5 stays."""
    soon = onward(WELL, [1.8, 0.86, 0.84, 1.8], [1.9, 0.91, 0.9, 1.9])

    told = played(onward(soon, [0.83, 0.82, 0.81], [0.89, 0.88, 0.87]))

    assert rollbacks(told) == [(101, 91), (131, 121)]
    assert [(step, factor) for step, factor, _ in rates(told)] == [(131, 0.5)]


def test_a_divergence_in_the_first_evaluations_cuts_to_two_fifths() -> None:
    """What loses all its progress at the fourth evaluation had a learning rate that was never right."""
    told = played(evaluated([1.7, 1.4, 1.1, 2.2, 1.0], [1.7, 1.4, 1.1, 2.2, 1.0]))

    assert rollbacks(told) == [(41, 31)]
    assert [(step, factor) for step, factor, _ in rates(told)] == [(41, 0.4)]


def test_losses_far_above_the_first_go_back_at_once() -> None:
    """Train and eval loss at 1.6 times the first loss, at the first evaluation, go back to the begin with x0.4."""
    told = played(evaluated([3.2, 1.9], [3.2, 1.95]))

    assert (found(told), rollbacks(told)) == ([(11, "worse-than-start")], [(11, 0)])
    assert [(step, factor) for step, factor, _ in rates(told)] == [(11, 0.4)]


def test_a_train_loss_that_loses_its_progress_makes_any_rise_count() -> None:
    """An eval loss that rises by 0.07 alone is silent; beside a train loss that lost over half it is a divergence."""
    alone, beside = (played(onward(WELL, [train], [1.0])) for train in (0.86, 1.6))

    assert (found(alone), found(beside)) == ([], [(101, "diverged")])


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_the_eval_loss_is_no_divergence(seed: int) -> None:
    """Evaluations on few samples scatter by 3 % of the progress around a course that falls: nothing goes back."""
    chance = random.Random(seed)
    course = [2 * 0.93**i for i in range(1, 25)]

    told = played(evaluated(course, [loss + chance.gauss(0, 0.04) for loss in course]))

    assert rollbacks(told) == []
    assert {f.severity for f in told.findings} <= {"info"}


@pytest.mark.parametrize("name", ["curriculum", "warm restarts", "overfitting of the train loss alone"])
def test_what_looks_ill_and_is_not(name: str) -> None:
    """A curriculum, warm restarts and a gap that opens while the eval loss falls: nothing is found, nothing is done."""
    story = a_silent_run(name)

    told = played(story)

    assert (found(told), rates(told), rollbacks(told)) == ([], [], [])


def test_an_overfitting_goes_back_with_a_lower_rate_and_stops_at_the_second() -> None:
    """Six evaluations that rise while the train loss falls: back to the lowest with x0.3; six more stop the run."""
    once = onward(WELL, *OVERFITTED)
    told = played(onward(once, [0.5, 0.48, 0.46, 0.44, 0.42, 0.4, 0.39], [0.95, 1.0, 1.05, 1.11, 1.17, 1.24, 1.32]))

    ((first, goal),) = rollbacks(told)
    assert (goal, rates(told)[0]) == (91, (first, 0.3, "rollback"))
    assert [step for step, name in found(told) if name == "overfitting"] == [first, told.stopped_at]


@pytest.mark.parametrize(("total", "backs"), [(None, 1), (178, 1), (175, 0)])
def test_an_overfitting_in_the_last_fifth_is_only_named(total: int | None, backs: int) -> None:
    """Seen at step 141: four fifths of 178 are 142, of 175 they are 140."""
    story = onward(WELL, *OVERFITTED)
    told = played(story if total is None else story.lasts(total))

    assert [f for f in found(told) if f[1] == "overfitting"][:1] == [(141, "overfitting")]
    assert len(rollbacks(told)) == backs


def test_negative_losses_are_judged_too() -> None:
    """The same course 3 lower, so that the first loss is below zero, goes back at the same evaluation."""
    lower = evaluated([t - 3 for t in (*STEADY, 1.8)], [e - 3 for e in (*EVALS, 1.9)], start=-1.0)

    assert rollbacks(played(lower)) == [(101, 91)]


def test_a_run_that_logs_no_train_loss_is_judged_without_an_error() -> None:
    """Evaluations alone show no divergence, as no train loss confirms it; nobody fails."""
    story = a_run(None, learning_rate=RATE)
    for loss in (*EVALS, 1.9, 1.9):
        story = story.log(steps=10, grad_norm=1.0).evaluate(eval_loss=loss)

    told = played(story)

    assert (told.errors, found(told)) == ((), [])


def test_an_evaluation_at_step_0_and_one_that_is_nan_are_no_harm() -> None:
    """A baseline before the first step and a NaN between change nothing of what comes of a divergence."""
    story = a_run(None, learning_rate=RATE).evaluate(eval_loss=2.1).log(loss=2.0)
    story = onward(story, STEADY, EVALS)
    story = onward(story, [0.87], [float("nan")])

    told = played(onward(story, [1.8], [1.9]))

    assert (told.errors, rollbacks(told)[-1:]) == ((), [(111, 91)])


def test_the_best_of_all_evaluations_is_no_divergence() -> None:
    """A first batch with a loss below all evaluations makes none of them one: each falls, if by little."""
    falling = [2.2 - 0.02 * at - 0.01 * (at % 2) for at in range(12)]
    told = played(evaluated(falling, falling, start=1.5))

    assert "diverged" not in {name for _, name in found(told)}
    assert rollbacks(told) == []
