"""`plateau` against torch.optim.lr_scheduler.ReduceLROnPlateau itself, step for step."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steersman_plateau import Plateau
from steersman_plateau.counting import Counts, after_change, after_evaluation, is_better, may_cut
from torch.optim.lr_scheduler import ReduceLROnPlateau

from steersman.testing import a_run

OPTIONS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["min", "max"]),
        "factor": st.sampled_from([0.1, 0.5, 0.9]),
        "patience": st.integers(0, 4),
        "threshold": st.sampled_from([0.0, 1e-4, 0.05, 0.5]),
        "threshold_mode": st.sampled_from(["rel", "abs"]),
        "cooldown": st.integers(0, 3),
        "min_lr": st.sampled_from([0.0, 1e-3, 0.05]),
        "eps": st.sampled_from([0.0, 1e-8, 1e-2]),
    }
)
VALUES = st.floats(-3, 3) | st.integers(-2, 2).map(float) | st.just(math.nan)
"""With ties, with values below zero, and with NaN; what is infinite is a test of its own."""


def rates_of_torch(values, options):
    """Return the learning rate after each value, from torch's own scheduler on a real optimizer."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in values:
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def rates_by_rule(values, *, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr, eps):
    """Return the learning rate after each value where every cut is made at once."""
    rate, counts, rates = 0.1, Counts(), []
    for value in values:
        better = is_better(value, counts.best, mode, threshold, threshold_mode)
        counts = after_evaluation(counts, value, better=better)
        if counts.bad > patience and may_cut(rate, factor, min_lr, eps):
            rate, counts = max(rate * factor, min_lr), after_change(counts, cooldown)
        rates.append(rate)
    return rates


@settings(max_examples=1000, deadline=None)
@given(values=st.lists(VALUES, max_size=80), options=OPTIONS)
def test_the_rule_cuts_at_the_evaluations_where_torch_cuts(values, options):
    """On any series, with any options, the learning rate is the same after each evaluation, to the last bit."""
    assert rates_by_rule(values, **options) == rates_of_torch(values, options)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=30), options=OPTIONS)
def test_the_strategy_in_a_run_cuts_where_torch_cuts(values, options):
    """Through the real supervisor, arbiter and all, in mode act with nothing in the way."""
    story = a_run(learning_rate=0.1)
    for value in values:
        story = story.epoch(loss=1.0).evaluate(eval_metric=value)
    played = story.play(Plateau(metric="eval_metric", **options))
    rates, rate = [], 0.1
    for step in range(10, 10 * len(values) + 1, 10):
        rate = next((change.new for change in played.changes if change.step == step), rate)
        rates.append(rate)

    assert played.errors == ()
    assert rates == rates_of_torch(values, options)


@pytest.mark.parametrize(("mode", "broken"), [("min", -math.inf), ("max", math.inf)])
def test_an_infinitely_good_value_is_no_best(mode, broken):
    """The one difference: for torch it is a best that nothing beats, here it is a fault and one bad evaluation."""
    assert is_better(broken, 1.0, mode, 1e-4, "rel") is False
    assert is_better(broken, None, mode, 1e-4, "rel") is False


@pytest.mark.parametrize(("mode", "broken"), [("min", math.inf), ("max", -math.inf)])
def test_an_infinitely_bad_value_counts_as_in_torch(mode, broken):
    """Two of them are more than a patience of 1: torch and the rule cut at the third evaluation."""
    options = {
        "mode": mode, "factor": 0.5, "patience": 1, "threshold": 1e-4, "threshold_mode": "rel", "cooldown": 0,
        "min_lr": 0.0, "eps": 1e-8,
    }  # fmt: skip
    values = [1.0, broken, broken, 1.0]

    assert rates_by_rule(values, **options) == rates_of_torch(values, options) == [0.1, 0.1, 0.05, 0.05]
