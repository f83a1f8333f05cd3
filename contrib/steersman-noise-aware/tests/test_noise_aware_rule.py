"""The one-standard-error rule, with numbers computed by hand, and what must hold of any run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steersman_noise_aware.rule import Judged, Reference, judge, squash, wobble

NUMBERS = st.integers(-2000, 2000).map(lambda n: n / 64)
ERRORS = st.one_of(st.none(), st.integers(0, 400).map(lambda n: n / 64))
RUNS = st.lists(st.tuples(NUMBERS, NUMBERS, ERRORS), min_size=1, max_size=40)


def tell(run: list[tuple[float, float, float | None]]) -> list[Judged]:
    """Judge the evaluations (value, second, standard error) of a run, one after the other."""
    told: list[Judged] = []
    for step, (value, second, error) in enumerate(run):
        reference = told[-1].reference if told else None
        told.append(judge(reference, Reference(step, value, second, error)))
    return told


def test_the_first_evaluation_is_the_reference_and_scores_its_own_value():
    """Nothing came before, so there is nothing to tie with."""
    [first] = tell([(2.0, 0.0, 0.1)])

    assert (first.verdict, first.score, first.reference.step) == ("better", 2.0, 0)


def test_the_three_verdicts_by_hand():
    """Reference 2.0 with a standard error of 0.5: 1.5 and 2.5 still tie, 1.25 is better, 2.75 is worse."""
    verdicts = [tell([(2.0, 0.0, 0.5), (value, 0.0, 0.5)])[1].verdict for value in (1.25, 1.5, 2.5, 2.75)]

    assert verdicts == ["better", "tied", "tied", "worse"]


def test_a_tie_scores_by_the_second_metric_by_hand():
    """squash(0) is 1/2 and squash(sinh 1) is 1/2 + 1/4, so the tie scores 2.0 + 0.5 * 1/4; its own value is ignored."""
    for value in (1.6, 2.0, 2.4):
        assert tell([(2.0, 0.0, 0.5), (value, math.sinh(1), 0.5)])[1].score == pytest.approx(2.125)
        assert tell([(2.0, 0.0, 0.5), (value, -math.sinh(1), 0.5)])[1].score == pytest.approx(1.875)


def test_the_ties_of_a_new_reference_stay_below_what_came_before_it():
    """The new reference 1.25 has an error of 8, but the scores before it end above 1.5: 1.25 + 0.25 is not reached."""
    told = tell([(2.0, 0.0, 0.5), (1.5, -30.0, 0.5), (1.25, 0.0, 8.0), (9.0, 30.0, 0.5)])

    assert [t.verdict for t in told] == ["better", "tied", "better", "tied"]
    assert told[3].reference.width == 0.25
    assert told[2].score < told[3].score < 1.5 < told[1].score


def test_without_a_standard_error_nothing_ties():
    """Before the noise is known a value is better or worse by any difference, and every score is its own value."""
    told = tell([(2.0, 0.0, None), (2.001, -9.0, None), (1.999, 9.0, None)])

    assert [(t.verdict, t.score) for t in told] == [("better", 2.0), ("worse", 2.001), ("better", 1.999)]


@given(RUNS)
def test_what_is_better_ranks_before_everything_earlier(run: list[tuple[float, float, float | None]]):
    """A verdict of better means a score strictly below every score given before, in any run."""
    told = tell(run)

    for i, judged in enumerate(told):
        if judged.verdict == "better":
            assert all(judged.score < earlier.score for earlier in told[:i])


@given(RUNS)
def test_ties_are_ordered_by_the_second_metric_only(run: list[tuple[float, float, float | None]]):
    """Among a reference with an error above 0 and all that tie with it, scores are ordered as the second metrics."""
    told = tell(run)

    for i, one in enumerate(told):
        for j, other in enumerate(told[:i]):
            together = one.reference == other.reference and "worse" not in (one.verdict, other.verdict)
            if together and one.reference.width > 0:
                assert (one.score < other.score) == (run[i][1] < run[j][1])
                assert (one.score == other.score) == (run[i][1] == run[j][1])


@given(RUNS)
def test_what_is_worse_ranks_after_its_reference_and_all_its_ties(run: list[tuple[float, float, float | None]]):
    """A verdict of worse means a score strictly above those of the reference and of its ties, earlier and later."""
    told = tell(run)

    for one in told:
        for other in told:
            if one.verdict == "worse" and other.verdict != "worse" and one.reference == other.reference:
                assert one.score > other.score


@given(RUNS)
def test_a_tie_ranks_before_everything_from_before_its_reference(run: list[tuple[float, float, float | None]]):
    """What ties with a reference is part of what was better: no score from before the reference is as low."""
    told = tell(run)

    for one in told:
        if one.verdict == "tied":
            assert all(one.score < earlier.score for earlier in told[: one.reference.step])


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(1e-9, 10.0))
def test_squash_rises_strictly_and_stays_inside(x: float, share: float):
    """A difference of one part in 10^9 moves it, at any magnitude, and no finite number reaches 0 or 1."""
    higher = x + share * max(abs(x), 1.0)

    assert 0.0 < squash(x) < 1.0
    if math.isfinite(higher):
        assert squash(x) < squash(higher)


def test_squash_by_hand():
    """Half way at 0, three quarters where the inverse hyperbolic sine is 1, and odd around the middle."""
    assert squash(0.0) == 0.5
    assert squash(math.sinh(1)) == pytest.approx(0.75)
    assert squash(-math.sinh(1)) == pytest.approx(0.25)


def test_wobble_by_hand():
    """Differences -1, -3, -1, -3, -2 have the median -2 and the deviations 1, 1, 1, 1, 0: 1 x 1.4826 / sqrt(2)."""
    assert wobble([10, 9, 6, 5, 2, 0], 6) == pytest.approx(1.04836, abs=1e-5)


def test_a_steady_fall_has_no_noise():
    """The trend is taken away: a loss that falls by the same amount each time has a noise of 0."""
    assert wobble([6, 5, 4, 3, 2, 1], 6) == 0.0


def test_wobble_needs_its_evaluations():
    """One evaluation too few, and there is no estimate."""
    assert wobble([1.0, 2.0, 1.0, 2.0, 1.0], 6) is None


def test_values_that_overflow_have_no_noise():
    """Differences beyond the largest float give no estimate, rather than an infinite one."""
    assert wobble([1e308, -1e308, 1e308, -1e308, 1e308, -1e308], 6) is None


@given(st.lists(NUMBERS, min_size=6, max_size=30), st.sampled_from([0.25, 8.0, 1024.0]))
def test_wobble_has_the_unit_of_the_metric(values: list[float], factor: float):
    """Values in another unit have the noise in that unit (powers of two, so that no digit is lost)."""
    noise, scaled = wobble(values, 6), wobble([factor * value for value in values], 6)

    assert noise is not None
    assert scaled == factor * noise
