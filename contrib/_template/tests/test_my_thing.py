"""The rule with numbers computed by hand, and the strategy in runs told in a line."""

from __future__ import annotations

import pytest
from steersman.testing import a_run

from steersman_my_thing import MyThing
from steersman_my_thing.my_thing import jump


@pytest.mark.parametrize(
    ("norms", "times"),
    [
        ([], None),
        ([1.0, 2.0, 3.0], None),  # three norms, and none before them
        ([1.0, 2.0, 3.0, 8.0], 4.0),  # the median of 1, 2 and 3 is 2
        ([9.0, 1.0, 2.0, 3.0, 8.0], 4.0),  # 9 is outside the window
        ([0.0, 0.0, 0.0, 8.0], None),  # no multiple of nothing
    ],
)
def test_a_jump_is_measured_in_medians(norms: list[float], times: float | None) -> None:
    """The newest norm is divided by the median of the three before it."""
    assert jump(norms, window=3) == times


def test_a_jump_halves_the_learning_rate_once() -> None:
    """A norm of 8 after two of 1 is a jump; the next, of 1, is none."""
    story = a_run(learning_rate=0.5).epoch(grad_norm=1.0).epoch(grad_norm=1.0).epoch(grad_norm=8.0).epoch(grad_norm=1.0)
    played = story.play(MyThing(window=2))
    assert [(f.step, f.name, f.evidence) for f in played.findings] == [(30, "gradient-jump", {"times": 8.0})]
    assert [(c.step, c.old, c.new) for c in played.changes] == [(30, 0.5, 0.25)]


def test_a_log_is_judged_once() -> None:
    """A check without a new log between says nothing again, also where the run was resumed in between."""
    story = a_run(learning_rate=0.5).epoch(logs=3, grad_norm=[1.0, 1.0, 8.0]).evaluate(eval_loss=1.0).resume()
    played = story.epoch(loss=1.0).evaluate(eval_loss=1.0).play(MyThing(window=2))
    assert [finding.step for finding in played.findings] == [10]


@pytest.mark.parametrize("options", [{"factor": 1.0}, {"window": 1}, {"cut": 1.0}, {"cut": 0.0}])
def test_an_option_out_of_bounds_is_refused(options: dict[str, float]) -> None:
    """Each option says what it may be, before training starts."""
    with pytest.raises(ValueError, match=next(iter(options))):
        MyThing(**options)
