"""Regret is the share of the gain that is given away, and every run counts once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from steersman_bench.select.curves import Curves
from steersman_bench.select.regrets import figures, lowest, regret, task_regret
from steersman_bench.statistics import Tally, mean_of, tally


def test_regret_is_the_share_of_the_gain_that_is_given_away(valley: Curves) -> None:
    """From 10 down to 2 is a gain of 8; the checkpoint after the best has 3 and gives away an eighth of it.

    Accuracy goes from 0 to 0.8 and is 0.7 there: an eighth again.
    """
    run = valley

    assert lowest(run, 8) == 8
    assert [regret(run, kept) for kept in (0, 8, 9)] == pytest.approx([100, 0, 12.5])
    assert task_regret(run, 9) == pytest.approx(12.5)


def test_an_average_may_be_the_best_there_is(low_averages: Curves) -> None:
    """An average of three at the bottom, (3 + 2 + 3) / 3 less 1, has 5/3: the best raw checkpoint gives away 1/3."""
    assert regret(low_averages, 8) == pytest.approx(100 * (1 / 3) / (10 - 5 / 3))


def test_a_task_without_a_gain_is_left_out(run_of: Callable[..., Curves]) -> None:
    """Accuracy from .9 to .91 is a gain of 0.01, under which shares say nothing."""
    assert task_regret(run_of("flat", [1.0, *[0.9] * 20]), 3) is None


def test_a_run_counts_once_whatever_its_sizes(valley: Curves) -> None:
    """Two sizes of one run at 12.5 and 37.5, one of another at 0: the mean is that of 25 and 0.

    Against the lowest eval loss, which gives away nothing, two of three lose and one ties.
    """
    runs = (valley, valley)

    made = figures(runs, {(0, 8): 9, (0, 32): 11, (1, 8): 8})

    assert made is not None
    assert (made.regret.mean, made.difference.mean, made.regret.runs) == pytest.approx((12.5, 12.5, 2))
    assert made.tally == Tally(0, pytest.approx(100 / 3), pytest.approx(200 / 3))


def test_one_run_has_no_interval() -> None:
    """An interval needs two runs; nothing has no mean."""
    one = mean_of([3.0])

    assert one is not None
    assert (one.mean, one.low, one.high, mean_of([]), tally([])) == (3.0, None, None, None, None)
