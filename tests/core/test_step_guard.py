"""What may be asked of a step guard, and which NaN it excuses."""

from __future__ import annotations

import math

import pytest

from steersman import Record, StepGuard
from steersman.step_guard import without_excused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"clip": 0}, "`clip` must be a finite number above 0, got 0.0"),
        ({"clip": "1"}, "expected a number, got str '1'"),
        ({"clip_multiple": 0.5}, "`clip_multiple` must be a finite number at least 1, got 0.5"),
        ({"clip_multiple": 5, "clip_deviations": math.nan}, "`clip_deviations` must be a finite number at least 0"),
        ({"clip_deviations": None}, "expected a number, got NoneType None"),
        ({"skip_multiple": 50}, "`skip_multiple` is a multiple of a limit: set `clip` or `clip_multiple` too"),
        ({"remembered": 4}, "`remembered` must be a whole number from 5 to 1000, got 4"),
        ({"remembered": True}, "`remembered` must be a whole number from 5 to 1000, got True"),
        ({"largest_move": 0}, "`largest_move` must be a finite number above 0, got 0.0"),
        ({"skip_nonfinite": 1}, "`skip_nonfinite` must be True or False, got 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, told):
    """A wrong number, or a multiple of nothing, is refused by the name of its field."""
    with pytest.raises((TypeError, ValueError)) as caught:
        StepGuard(**options)

    assert told in str(caught.value)


def test_it_is_told_in_words():
    """Each rule that is in force is told, and no other."""
    assert StepGuard().told == "steps whose gradient is not finite are skipped"
    assert StepGuard(clip=2, skip_nonfinite=False).told == "gradients are clipped to 2"
    assert StepGuard(largest_move=0.1, skip_nonfinite=False).told == (
        "after a rollback a step of SGD moves weights by at most 0.1 of their norm"
    )
    assert StepGuard(clip=2, clip_multiple=5, skip_multiple=50, remembered=20).told == (
        "gradients are clipped to 2 and to max(5 x median, median + 10 x MAD) of the newest 20 norms; "
        "steps whose gradient is not finite or beyond 50 x that are skipped"
    )


def test_the_nan_of_a_skipped_step_is_left_out():
    """Where steps are excused a NaN loss and gradient norm are left out, and nothing else; elsewhere all stays."""
    metrics = {"loss": math.nan, "grad_norm": math.inf, "entropy": math.nan, "kl": 1.0}
    excused = Record(8, "train", {**metrics, "steps_excused": 1.0}, 0.5)
    not_excused = Record(8, "train", {**metrics, "steps_skipped": 1.0}, 0.5)
    finite = Record(8, "train", {"loss": 2.0, "steps_excused": 1.0}, 0.5)

    assert set(without_excused(excused).metrics) == {"entropy", "kl", "steps_excused"}
    assert without_excused(not_excused) is not_excused
    assert without_excused(finite) == finite
