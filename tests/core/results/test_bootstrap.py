"""The interval of a mean over runs, against cases by hand and against the t interval of normal values."""

from __future__ import annotations

import math
import random
from itertools import product
from statistics import fmean, quantiles, stdev

import pytest

from steersman.results.bootstrap import interval_of_mean


@pytest.mark.parametrize("values", [(), (1.0,)])
def test_no_interval_under_two_runs(values):
    """One run says nothing of how runs differ."""
    assert interval_of_mean(values) is None


def test_values_that_are_all_equal():
    """Where no run differs the interval is that one value, without a rounding error."""
    assert interval_of_mean([0.1] * 7) == (0.1, 0.1)


def test_two_runs():
    """Of two values a quarter of the resamples has twice the one, a quarter twice the other: both ends are reached."""
    assert interval_of_mean([1.0, 3.0]) == (1.0, 3.0)


def test_every_resample_of_four_runs():
    """Of the 256 resamples of four values, the interval has the percentiles that listing them all gives."""
    values = (0.0, 1.0, 10.0, 100.0)
    every = sorted(sum(drawn) / 4 for drawn in product(values, repeat=4))
    cuts = quantiles(every, n=40, method="inclusive")
    low, high = interval_of_mean(values) or (math.nan, math.nan)
    assert low == pytest.approx(cuts[0], abs=0.26)  # the means lie 0.25 apart there
    assert high == pytest.approx(cuts[-1], abs=0.26)


def test_one_run_in_many():
    """One run of 20 gained 20: the mean of a resample is how often it was drawn, Binomial(20, 1/20), so 0 to 3."""
    # P(0) = 0.95^20 = 0.358 > 0.025; P(at most 2) = 0.925, P(at most 3) = 0.984 >= 0.975
    assert interval_of_mean([20.0] + [0.0] * 19) == (0.0, 3.0)


def test_normal_values_against_the_t_interval():
    """Of 200 normal values the interval is that of Student's t (1.972 for 199 degrees) within five per cent."""
    draw = random.Random(5)
    values = [draw.gauss(2.0, 3.0) for _ in range(200)]
    half = 1.972 * stdev(values) / math.sqrt(200)
    low, high = interval_of_mean(values) or (math.nan, math.nan)
    assert low == pytest.approx(fmean(values) - half, abs=0.05 * half)
    assert high == pytest.approx(fmean(values) + half, abs=0.05 * half)


def test_it_covers_the_mean_as_often_as_it_says():
    """Over 200 samples of 30 normal values, about 94 in 100 intervals hold the true mean."""
    draw = random.Random(9)
    samples = [[draw.gauss(0.0, 1.0) for _ in range(30)] for _ in range(200)]
    intervals = [interval_of_mean(sample, resamples=300) or (1.0, 1.0) for sample in samples]
    covered = sum(low <= 0 <= high for low, high in intervals) / 200
    assert covered == pytest.approx(0.94, abs=0.045)  # a standard error is 0.017


def test_the_same_values_give_the_same_interval():
    """It is seeded: a report made again is the same; a report of other values is not."""
    values = [float(i * i % 7) for i in range(20)]
    assert interval_of_mean(values) == interval_of_mean(values)
    assert interval_of_mean(values, resamples=50) != interval_of_mean(values, resamples=5000)


def test_many_runs():
    """Of 7001 normal values, drawn in groups of four, the interval is within a twelfth of the normal one (1.960)."""
    draw = random.Random(11)
    values = [draw.gauss(-1.0, 2.0) for _ in range(7001)]
    half = 1.960 * stdev(values) / math.sqrt(7001)
    low, high = interval_of_mean(values) or (math.nan, math.nan)
    assert low == pytest.approx(fmean(values) - half, abs=half / 12)
    assert high == pytest.approx(fmean(values) + half, abs=half / 12)


def test_the_order_of_runs_is_no_matter():
    """The same values in another order, as other processes bring them, give the same interval to the last digit."""
    values = [math.sin(i) for i in range(300)]
    shuffled = random.Random(3).sample(values, k=len(values))
    assert interval_of_mean(values) == interval_of_mean(shuffled)
    many = [math.sin(i) for i in range(5000)]
    assert interval_of_mean(many) == interval_of_mean(many[::-1])
