import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import Record
from steersman.history import KEPT, WritableHistory
from steersman.tables import Table

values = st.lists(st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=60)


def series_of(numbers):
    history = WritableHistory()
    for i, value in enumerate(numbers):
        history.append_value("loss", 10 * i, value)
    return history["loss"]


def same(left, right):
    return len(left) == len(right) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True)
    )


@given(values, st.integers(0, 70))
def test_series_equals_a_list(numbers, n):
    """Count, minimum, its step, latest and the newest n agree with a plain list of the values."""
    series = series_of(numbers)
    finite = [(value, 10 * i) for i, value in enumerate(numbers) if math.isfinite(value)]
    lowest = min((value for value, _ in finite), default=None)
    assert series.count == len(series) == len(numbers)
    assert series.min == lowest
    assert series.argmin == next((step for value, step in finite if value == lowest), None)
    assert same(series.last(n), numbers[len(numbers) - min(n, len(numbers)) :])
    assert series.latest_step == (10 * (len(numbers) - 1) if numbers else None)
    assert series.steps() == tuple(range(0, 10 * len(numbers), 10))


@given(values, st.integers(1, 70))
def test_finite_equals_a_filtered_list(numbers, n):
    """The finite view is the list without NaN and infinity, with the steps the values came from."""
    view = series_of(numbers).finite()
    finite = [(10 * i, value) for i, value in enumerate(numbers) if math.isfinite(value)]
    assert view.items(n) == tuple(finite[-n:])
    assert view.last(n) == tuple(value for _, value in finite[-n:])
    assert view.latest == (finite[-1][1] if finite else None)
    assert len(view) == len(finite)


def test_no_values_are_no_values():
    """Asking for none gives none, not all."""
    series = series_of([1.0, 2.0])
    assert series.last(0) == series.last(-1) == series.steps(0) == series.finite().last(0) == ()


def test_memory_is_bounded():
    """A long run keeps at least the newest 4096 values and at most twice as many; the facts of the whole run stay."""
    history = WritableHistory()
    total = 5 * KEPT + 7
    history.append_value("loss", 0, -1.0)
    for step in range(1, total):
        history.append_value("loss", step, float(step))
    series = history["loss"]
    newest = tuple(float(step) for step in range(total - KEPT, total))
    assert series.last(KEPT) == newest
    assert KEPT <= len(series.last(10 * KEPT)) < 2 * KEPT
    assert len(series.steps(10 * KEPT)) == len(series.last(10 * KEPT))
    assert (series.count, series.min, series.argmin, series.latest) == (total, -1.0, 0, float(total - 1))


def test_memory_of_a_window_is_bounded_before_the_cut():
    """The bound holds at every moment, not only after a cut."""
    series = series_of([0.0] * (2 * KEPT - 1))
    assert len(series.last(10 * KEPT)) == 2 * KEPT - 1
    assert len(series_of([0.0] * (2 * KEPT)).last(10 * KEPT)) == KEPT


def test_a_metric_that_never_came():
    """A metric that never came is an empty series and is remembered; one that came is not."""
    history = WritableHistory()
    history.append(Record(5, "train", {"loss": 1.0, "grad_norm": math.nan}))
    empty = history["eval_los"]
    assert (empty.count, empty.min, empty.argmin, empty.latest, empty.last(3)) == (0, None, None, None, ())
    assert history["loss"].latest == 1.0
    assert history.missing == {"eval_los"}
    assert history.names() == ("loss", "grad_norm")
    assert "loss" in history
    assert "eval_los" not in history


def test_the_first_of_equal_minima():
    """The step of the minimum is the first that reached it."""
    assert series_of([3.0, 1.0, 1.0]).argmin == 10


@pytest.mark.parametrize("worthless", [math.nan, math.inf, -math.inf])
def test_no_minimum_of_nothing_finite(worthless):
    """NaN and infinity are counted and are latest, but never a minimum."""
    series = series_of([worthless])
    assert (series.count, series.min, series.argmin) == (1, None, None)
    assert series.finite().latest is None


def table_of(rows):
    return Table("train", array("q", range(rows)), {"loss": array("d", [10.0 * i for i in range(rows)])})


@pytest.mark.parametrize("others", [0, 1, 3, 4, 5, 20])
def test_the_newest_of_many_spans(others):
    """The newest value is that of the newest row, however many rows of other metrics have come since; looking at it
    changes nothing."""
    losses, other = table_of(6), Table("eval", array("q", range(20)), {"eval_loss": array("d", [1.0] * 20)})
    history = WritableHistory()
    for start in (0, 2, 4):
        history.extend(losses, start, start + 2)
        for row in reversed(range(others)):  # each a span of its own
            history.extend(other, row, row + 1)
        assert (history["loss"].latest_step, history["loss"].latest) == (start + 1, 10.0 * (start + 1))
        assert history["loss"].newest_finite() == (start + 1, 10.0 * (start + 1))
    assert history["loss"].last() == (0.0, 10.0, 20.0, 30.0, 40.0, 50.0)


def test_the_newest_of_rows_and_single_values():
    """A single value after some rows is newer than they are, and rows after it are newer still."""
    table = table_of(4)
    history = WritableHistory()
    history.extend(table, 0, 2)
    history.append_value("loss", 7, 0.5)
    assert (history["loss"].latest_step, history["loss"].latest) == (7, 0.5)
    history.extend(table, 2, 3)
    assert (history["loss"].latest_step, history["loss"].latest) == (2, 20.0)
    history.append_value("loss", 9, math.nan)
    assert history["loss"].newest_finite() == (2, 20.0)
    assert history["loss"].steps() == (0, 1, 7, 2, 9)
