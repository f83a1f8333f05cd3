"""The tied set: paired by example, and by the noise of the course; expected values by hand."""

from __future__ import annotations

import math

import pytest

from steersman.tied import noise, tied, tied_by_course

BEST = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)


def plus(*differences: float) -> list[float]:
    return [loss + difference for loss, difference in zip(BEST, differences, strict=True)]


def test_two_standard_errors_of_the_paired_differences() -> None:
    """Differences of 1 and -1 + 2x have deviation sqrt(8/7)(1 - x); the error of eight is 0.378(1 - x).

    A mean of 0.4 is within 2 x 0.378 x 0.6 = 0.454; a mean of 0.5 is past 2 x 0.378 x 0.5 = 0.378.
    """
    within = plus(*[1.0, -0.2] * 4)
    past = plus(*[1.0, 0.0] * 4)
    assert tied(BEST, {30: within, 20: past}) == (30,)


def test_a_small_steady_difference_is_no_tie() -> None:
    """Losses that scatter over 1 to 8 and are all worse by 0.001 are told apart; unpaired they never would be."""
    assert tied(BEST, {20: plus(*[0.001] * 8), 30: plus(*[-0.001] * 8), 40: list(BEST)}) == (30, 40)


def test_what_cannot_be_compared() -> None:
    """Seven examples say nothing; another number of examples, or fewer than eight finite pairs, is no tie."""
    nan = [math.nan, *BEST[1:]]
    assert tied(BEST[:7], {20: BEST[:7]}) is None
    assert tied(BEST, {20: (*BEST, 1.0), 30: nan}) == ()
    assert tied((*BEST, 9.0), {30: (*nan, 9.0)}) == (30,)


def test_the_noise_of_a_course() -> None:
    """On a straight line there is none; off it by +-1 in turn each lies 2 from its neighbours' mean: 2.4211."""
    assert noise([10.0, 9.0, 8.0, 7.0]) == 0.0
    assert noise([1.0, -1.0, 1.0, -1.0, 1.0]) == pytest.approx(1.4826 * 2 / math.sqrt(1.5))


def test_tied_by_the_course() -> None:
    """Each of six lies 0.3 from its neighbours' mean but at the bend (0.6): noise 0.363, limit 1.0 + 2.83 x 0.363."""
    course = {60: 2.2, 10: 3.0, 20: 2.3, 30: 2.2, 40: 1.5, 50: 1.0}
    # off: |2.3 - 2.6| = 0.3, |2.2 - 1.9| = 0.3, |1.5 - 1.6| = 0.1, |1.0 - 1.85| = 0.85; the median is 0.3
    assert 1.0 + 2 * math.sqrt(2) * 1.4826 * 0.3 / math.sqrt(1.5) == pytest.approx(2.027, abs=1e-3)
    assert tied_by_course(course, 50) == (40,)
    assert tied_by_course({**course, 70: math.inf}, 50) == (40,)
    assert tied_by_course(dict(list(course.items())[1:]), 50) is None
