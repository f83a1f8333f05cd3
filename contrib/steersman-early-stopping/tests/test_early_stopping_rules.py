"""The rules of `early-stopping`: improvements, averages, budgets and sentences, with numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine
from ignite.handlers import EarlyStopping as IgniteEarlyStopping
from steersman_early_stopping import EarlyStopping
from steersman_early_stopping.budgets import Budgets
from steersman_early_stopping.patience import averaged, improves, used

from steersman.testing import a_run


@pytest.mark.parametrize(
    ("value", "best", "options", "expected"),
    [
        (0.99, 1.0, {}, True),
        (1.0, 1.0, {}, False),
        (1.01, 1.0, {}, False),
        (1.01, 1.0, {"direction": "higher"}, True),
        (0.99, 1.0, {"direction": "higher"}, False),
        (0.75, 1.0, {"min_delta": 0.25}, False),
        (0.74, 1.0, {"min_delta": 0.25}, True),
        (-2.1, -2.0, {"min_relative_delta": 0.125}, False),
        (-2.3, -2.0, {"min_relative_delta": 0.125}, True),
        (7.4, 8.0, {"min_delta": 0.5, "min_relative_delta": 0.125}, False),
        (6.9, 8.0, {"min_delta": 0.5, "min_relative_delta": 0.125}, True),
        (1.6, 2.0, {"min_delta": 0.5, "min_relative_delta": 0.125}, False),
        (1e9, None, {}, True),
    ],
)
def test_what_an_improvement_is(value, best, options, expected):
    """Better by more than the larger of the least differences; a relative one is a share of the best's size."""
    assert improves(value, best, **{"direction": "lower", **options}) is expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("best", [None, 1.0])
def test_what_is_not_finite_is_never_an_improvement(value, direction, best):
    """Not even minus infinity for what is better when lower: it is a fault, no success."""
    assert improves(value, best, direction=direction) is False


def test_the_average_weighs_the_newest_most():
    """At smoothing 0.5 after 4 and 2: 2 + 4/2 over 1 + 1/2; at 0 it is the newest alone."""
    assert averaged(4.0, 1.0, 2.0, 0.5) == (4.0, 1.5)
    assert averaged(4.0, 1.0, 2.0, 0.0) == (2.0, 1.0)


def test_budgets_are_spent_when_they_are_reached():
    """Half an hour is 1800 seconds; the sentence does not change with what is spent beyond."""
    budgets = Budgets(max_hours=0.5, max_tokens=1000, ledger="generation")

    assert list(budgets.spent(1799.9, 999)) == []
    assert list(budgets.spent(1800.0, 999)) == ["the budget of 0.5 hours is spent"]
    both = ["the budget of 0.5 hours is spent", "the budget of 1,000 tokens (generation) is spent"]
    assert list(budgets.spent(1800.0, 1000)) == list(budgets.spent(9000.0, 5000)) == both


def test_budgets_that_nothing_counts_against_are_told():
    """A log without time and without tokens can spend nothing, and that is said rather than passed over."""
    assert list(Budgets(2.0, None, "both").uncounted(None, 0)) == [
        "max_hours 2 was never judged: the logs of this run have no time"
    ]
    assert list(Budgets(None, 5000, "both").uncounted(None, 0)) == [
        "max_tokens 5,000 was never judged: no log counted tokens (both)"
    ]
    assert list(Budgets(2.0, 5000, "both").uncounted(10.0, 1)) == []
    assert list(Budgets(None, None, "both").uncounted(None, 0)) == []


def test_how_patience_is_told():
    """What came, how much is used, and what it is measured against."""
    assert used("eval_loss", 60, 0.9, "2 of 5 checks", 0.875, 40) == (
        "eval_loss 0.9: 2 of 5 checks without improvement on 0.875 (step 40)"
    )
    assert used("eval_loss", 40, 0.875, "0 of 5 checks", 0.875, 40) == (
        "eval_loss 0.875 is the best so far: 0 of 5 checks of patience used"
    )
    assert used("eval_loss", 60, None, "1 of 5 checks", None, -1) == (
        "eval_loss was NaN or infinite, which counts as no improvement: 1 of 5 checks without a finite value"
    )


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(-100, 100) | st.integers(-3, 3).map(float), min_size=1, max_size=30),
    patience=st.integers(1, 6),
    min_delta=st.sampled_from([0.0, 0.5, 1.0]),
    direction=st.sampled_from(["lower", "higher"]),
)
def test_it_stops_where_ignite_stops(values, patience, min_delta, direction):
    """Ignite's EarlyStopping, in the mode that counts as Keras does, stops any series at the same evaluation."""
    newest, engine = [0.0], Engine(lambda engine, batch: None)
    theirs = IgniteEarlyStopping(
        patience,
        lambda engine: newest[0],
        engine,
        threshold=min_delta,
        cumulative=True,
        mode="min" if direction == "lower" else "max",
    )
    story, expected = a_run(), None
    for value in values:
        newest[0] = value
        theirs(engine)
        story = story.epoch(loss=1.0).evaluate(eval_metric=value)
        if expected is None and theirs.counter >= patience:
            expected = story.step
    ours = EarlyStopping(metric="eval_metric", direction=direction, patience=patience, min_delta=min_delta)

    assert story.play(ours).stopped_at == expected
