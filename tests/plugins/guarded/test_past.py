"""The evaluations of a run as far as they count."""

from __future__ import annotations

import pytest

from steersman import Window
from steersman_plugins.guarded.past import Past, Point, past_of, scatter


def window(first: int, evaluated: float | None, train: float | None = 1.0) -> Window:
    means = {"eval_loss": evaluated, "loss": train}
    return Window(first, first + 10, None, {n: m for n, m in means.items() if m is not None}, {}, {}, logs=1)


def test_windows_without_an_evaluation_and_those_undone_do_not_count() -> None:
    """Of four windows one has no evaluation and one lies between a rollback and where it went back to."""
    windows = [window(0, 2.0), window(10, None), window(20, 9.0), window(30, 1.5, None)]

    past = past_of(windows, [[20, 30]], 2.5, None)

    assert past.points == (Point(10, 1.0, 2.0), Point(40, None, 1.5))
    assert (past.evals, past.trains) == ((2.0, 1.5), (1.0,))


@pytest.mark.parametrize(
    ("start", "lowest", "progress"), [(2.5, None, 1.0), (2.5, 1.25, 1.25), (None, None, 0.5), (1.0, None, 0.0)]
)
def test_progress_is_the_way_from_the_first_loss_to_the_lowest(
    start: float | None, lowest: float | None, progress: float
) -> None:
    """From 2.5 to 1.5 it is 1; to the 1.25 of before it is 1.25; without a first loss the first evaluation is it."""
    assert past_of([window(0, 2.0), window(10, 1.5)], [], start, lowest).progress == progress


def test_scatter_is_that_of_neighbours() -> None:
    """1, 2, 1, 2: differences 1, -1, 1 have the MAD 0. A bend: second differences 2, 1, 0.5 are less than that MAD."""
    assert scatter([1.0, 2.0, 1.0, 2.0]) == 0.0
    assert scatter([8.0, 4.0, 2.0, 1.0, 0.5]) == pytest.approx(1 / 3**0.5)
    assert scatter([]) == 0.0


def test_how_far_above_the_best_in_units_of_what_is_explained() -> None:
    """1 above the best of 1, where 12 % of a progress of 2, 0.24, is explained: 4.17 times as far."""
    past = Past((), 3.0, 1.0)

    assert past.above_best([3.0, 2.0, 1.0, 2.0], 6.0, 0.12) == pytest.approx(1 / 0.24)
    assert past.above_best([3.0, 9.0], 6.0, 0.12) == 0.0
