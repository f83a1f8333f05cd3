"""`averaged`: which windows of checkpoints it proposes, by hand."""

from __future__ import annotations

import pytest

from steersman import Average
from steersman.testing import Story, a_run
from steersman_plugins.averaged import Averaged
from steersman_plugins.eval_loss import EvalLoss


def evaluated(*losses: float | None) -> Story:
    """A run that saves at steps 10, 20, ... and evaluates there, but for None."""
    story = a_run()
    for loss in losses:
        story = story.log(10)
        story = story.saved() if loss is None else story.evaluate(eval_loss=loss).saved()
    return story


def test_windows_lie_around_the_best() -> None:
    """The best of seven is in the middle: three and five around it; the next best at the end: beside it."""
    played = evaluated(5.0, 4.0, 3.0, 1.0, 3.5, 3.2, 2.0).play(EvalLoss(), Averaged(around=2))

    assert played.averages == (
        Average((30, 40, 50), 0.25),
        Average((20, 30, 40, 50, 60), 0.25),
        Average((50, 60, 70), 0.25),
        Average((30, 40, 50, 60, 70), 0.25),
    )


def test_a_window_of_two_centres_is_proposed_once() -> None:
    """In a run of three, each of which is a centre, there is one window of three, and none of five."""
    played = evaluated(2.0, 1.0, 3.0).play(EvalLoss(), Averaged(around=3, leeway=0.0))

    assert played.averages == (Average((10, 20, 30)),)


def test_only_sound_neighbours_count() -> None:
    """One that was never evaluated, one whose loss is not finite, and one that was never saved are no neighbours."""
    story = evaluated(3.0, None, 1.0, float("nan"), 2.0).log(10).evaluate(eval_loss=0.5)
    played = story.play(EvalLoss(), Averaged(around=1))

    assert (played.averages, played.best and played.best.step) == ((Average((10, 30, 50), 0.25),), 60)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sizes": (3, 1)}, "`sizes` must be 2 or more checkpoints each, got 1"),
        ({"around": 0}, "`around` must be at least 1, got 0"),
        ({"leeway": -1.0}, "`leeway` must be 0 or more standard errors, got -1.0"),
    ],
)
def test_options_that_make_no_average(options, problem) -> None:
    """An average of one, or around none, is refused."""
    with pytest.raises(ValueError, match=problem):
        Averaged(**options)
