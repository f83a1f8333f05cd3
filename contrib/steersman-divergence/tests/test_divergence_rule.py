"""The Hampel identifier along a resistant line, with numbers computed by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steersman_divergence.broken import Counts, hear, is_policy_gradient
from steersman_divergence.hampel import Limits, Track, advance, level_and_deviation, limit_of

LIMITS = Limits(multiple=8.0, needed=6, window=9, sustained=3)


def follow(values, limits=LIMITS):
    """Return the track after these values, at steps 1, 2, 3, ..."""
    track = Track()
    for step, value in enumerate(values, 1):
        track = advance(track, step, value, limits)
    return track


def test_a_steady_fall_is_followed():
    """10, 9, ..., 5: the outer thirds have the medians 9.5 and 5.5, four apart: slope -1, level 5, scatter 0."""
    assert level_and_deviation([10, 9, 8, 7, 6, 5]) == (5.0, 0.0)


def test_level_and_deviation_by_hand():
    """The outer thirds, 9, 10, 9 and 9, 8, 9, have the same median 9, so the slope is 0 and the level 9.

    Five of the nine deviations from it are 0, so their median is; with five of 1 the deviation is 1.4826.
    """
    assert level_and_deviation([9, 10, 9, 10, 9, 8, 9, 8, 9]) == (9.0, 0.0)
    assert level_and_deviation([9, 10, 9, 10, 8, 8, 9, 8, 9]) == (9.0, 1.4826)


def test_a_rise_is_not_followed():
    """1 to 6 has a slope of 1, which is taken as 0: the level is the median 3.5, the deviations 2.5, 1.5, .5: 1.5."""
    assert level_and_deviation([1, 2, 3, 4, 5, 6]) == (3.5, pytest.approx(1.5 * 1.4826))


def test_nothing_is_judged_before_enough_values():
    """With one value too few there is no limit, with as many there is."""
    values = [9, 10, 8, 10, 9, 8]
    assert limit_of(follow(values[:5]), LIMITS) is None
    assert limit_of(follow(values), LIMITS) is not None


def test_values_without_scatter_judge_nothing():
    """A loss that is always the same has a deviation of 0, and one digit more is no spike."""
    assert limit_of(follow([2.0] * 9), LIMITS) is None
    assert follow([2.0] * 9 + [2.1]).spikes == 0


BEFORE = [9, 10, 8, 10, 9, 8, 9, 8, 10]  # level 9, deviation 1.4826, so the limit is 9 + 8 x 1.4826 = 20.8608


def test_the_limit_by_hand():
    """20.86 is no outlier and 20.87 is one; what is remembered of it is the step, the level and the limit."""
    assert follow([*BEFORE, 20.86]).spikes == 0
    track = follow([*BEFORE, 20.87])
    assert track.spikes == 1
    assert (track.worst.step, track.worst.value, track.worst.level) == (10, 20.87, 9.0)
    assert track.worst.limit == pytest.approx(20.8608)


def test_a_fall_is_never_an_outlier():
    """However far a loss falls, it is no alarm."""
    assert follow([*BEFORE, -1000.0]).spikes == 0


def test_the_least_rise_is_a_share_of_what_was_learned():
    """From 100 to 8 the run learned 92; a fifth of that is 18.4, so 9 + 18.4 = 27.4 is the limit instead of 20.86."""
    limits = Limits(8.0, 6, 9, 3, least_share=0.2)

    assert follow([100, *BEFORE, 27.3], limits).spikes == 0
    assert follow([100, *BEFORE, 27.5], limits).spikes == 1


def test_outliers_do_not_enter_the_measure_of_the_next():
    """Two outliers, and the limit for the third value is as it was."""
    track = follow([*BEFORE, 30, 40])

    assert limit_of(track, LIMITS) == limit_of(follow(BEFORE), LIMITS)
    assert (track.spikes, track.worst.value, track.diverged_at) == (2, 40, None)


def test_three_in_a_row_have_diverged_since_the_first():
    """The third outlier in a row makes a divergence, which began with the first."""
    assert follow([*BEFORE, 30, 40, 50]).diverged_at == 10


def test_a_value_that_comes_back_ends_it():
    """After a divergence the first value inside the limit ends it; the outliers are still to be told."""
    track = follow([*BEFORE, 30, 40, 50, 9])

    assert (track.diverged_at, track.away, track.spikes) == (None, (), 3)


def test_a_check_tells_outliers_once_and_a_divergence_as_long_as_it_lasts():
    """After a check the count is 0; the run is still away, and the next outlier is told with the step it began at."""
    track = advance(follow([*BEFORE, 30, 40, 50]).looked_at(), 13, 60, LIMITS)

    assert (track.spikes, track.diverged_at, track.worst.value) == (1, 10, 60)


def test_a_new_level_is_accepted_after_a_window_of_it():
    """Nine outliers in a row, as many as the window: they are the level from then on; the divergence is told once."""
    track = follow([*BEFORE, 30, 31, 29, 31, 30, 29, 30, 29, 31])

    assert (track.recent, track.away, track.diverged_at) == ((30, 31, 29, 31, 30, 29, 30, 29, 31), (), 10)
    assert follow([*BEFORE, 30, 31, 29, 31, 30, 29, 30, 29, 31]).looked_at().diverged_at is None


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=60), st.sampled_from([2.0**-30, 0.125, 4.0, 2.0**40]))
def test_the_unit_of_the_loss_changes_nothing(values, factor):
    """Every value times a power of two (no digit is lost): the same outliers at the same steps."""
    limits = Limits(8.0, 6, 9, 3, least_share=0.02)
    one, other = follow(values, limits), follow([factor * value for value in values], limits)

    assert (one.spikes, len(one.away), one.diverged_at) == (other.spikes, len(other.away), other.diverged_at)
    assert (one.worst and one.worst.step) == (other.worst and other.worst.step)


def count(*logs):
    """Return the counts after these training logs."""
    counts = Counts()
    for log in logs:
        counts = hear(counts, log)
    return counts


def test_a_zero_loss_beside_a_nan_gradient_is_masked():
    """0.0 with NaN is masked, 0.25 with NaN is a sick gradient only, 0.0 with a finite norm is nothing."""
    masked, sick, well = (
        {"loss": 0.0, "grad_norm": math.nan},
        {"loss": 0.25, "grad_norm": math.inf},
        {"loss": 0.0, "grad_norm": 1.0},
    )
    counts = count(masked, sick, well)

    assert (counts.masked, counts.gradient, counts.most_gradients_in_a_row, counts.gradients_in_a_row) == (1, 2, 2, 0)


def test_a_fall_to_exact_zero_without_a_gradient_norm_is_counted():
    """2.0, then 0.0 twice, with no gradient norm logged: two zeros that no training made."""
    counts = count({"loss": 2.0}, {"loss": 0.0}, {"loss": 0.0})

    assert (counts.zeros, counts.zeros_in_a_row, counts.last_loss) == (2, 2, 2.0)


def test_a_loss_that_is_rounded_to_zero_is_not_counted():
    """From 0.69 down to 0.0001, then 0.0 by rounding: a saturated DPO run logs this."""
    assert count({"loss": 0.69}, {"loss": 0.01}, {"loss": 0.0001}, {"loss": 0.0}, {"loss": 0.0}).zeros == 0


def test_what_is_in_a_row_goes_on_over_a_check():
    """A NaN gradient before a check and one after it are two in a row."""
    counts = hear(count({"grad_norm": math.nan}).looked_at(), {"grad_norm": math.nan})

    assert (counts.gradient, counts.most_gradients_in_a_row) == (1, 2)


def test_policy_gradient_trainers_are_recognised_by_their_keys():
    """GRPO logs a reward beside its own keys; a reward alone, or a completion length alone, is not enough."""
    assert is_policy_gradient({"reward": 1.0, "frac_reward_zero_std": 0.0})
    assert is_policy_gradient({"reward": 1.0, "completion_length": 200.0})
    assert not is_policy_gradient({"reward": 1.0})
    assert not is_policy_gradient({"completion_length": 200.0})
