import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import RunPlan
from steersman.schedule import Cadence, Due, cadence, checks_ahead


@pytest.mark.parametrize(
    ("check_every", "plan", "expected", "words"),
    [
        ("auto", RunPlan(total_steps=1000, evaluates=True), Cadence("eval"), "each evaluation"),
        ("auto", RunPlan(total_steps=1000, evaluates=False), Cadence("steps", 50), "every 50 steps"),
        ("auto", RunPlan(total_steps=1000), Cadence("steps", 50), "every 50 steps"),
        ("auto", RunPlan(total_steps=7, evaluates=False), Cadence("steps", 1), "every 1 steps"),
        ("auto", RunPlan(), Cadence("epoch"), "each epoch"),
        ("epoch", RunPlan(total_steps=1000, evaluates=True), Cadence("epoch"), "each epoch"),
        ("eval", RunPlan(), Cadence("eval"), "each evaluation"),
        (30, RunPlan(total_steps=1000, evaluates=True), Cadence("steps", 30), "every 30 steps"),
    ],
)
def test_cadence(check_every, plan, expected, words):
    """`auto` is each evaluation, else a twentieth of the run, else each epoch; what the user says stands."""
    assert cadence(check_every, plan) == expected
    assert str(expected) == words


@pytest.mark.parametrize(
    ("every", "plan", "step", "ahead"),
    [
        (Cadence("steps", 30), RunPlan(100), 0, 3),
        (Cadence("steps", 30), RunPlan(100), 60, 1),
        (Cadence("steps", 30), RunPlan(100), 59, 2),
        (Cadence("steps", 200), RunPlan(100), 0, 0),
        (Cadence("epoch"), RunPlan(100, steps_per_epoch=40.0), 0, 2),
        (Cadence("epoch"), RunPlan(100, steps_per_epoch=33.4), 50, 1),
        (Cadence("epoch"), RunPlan(30, steps_per_epoch=0.1 * 100), 0, 3),
        (Cadence("epoch"), RunPlan(100), 0, None),
        (Cadence("eval"), RunPlan(100, evaluates=True, eval_every=20), 0, 5),
        (Cadence("eval"), RunPlan(100, evaluates=True, eval_every=30), 0, 4),
        (Cadence("eval"), RunPlan(100, evaluates=True, eval_every=20), 40, 3),
        (Cadence("eval"), RunPlan(100, evaluates=False), 0, 0),
        (Cadence("eval"), RunPlan(100, evaluates=True), 0, None),
        (Cadence("steps", 30), RunPlan(), 0, None),
    ],
)
def test_checks_ahead(every, plan, step, ahead):
    """The checks that are left are counted, the evaluation at the end of a run included, or said to be unknown."""
    assert checks_ahead(every, plan, step=step) == ahead


def test_an_epoch_closes_once_by_whatever_fraction():
    """An epoch closes at the first step that reached the next whole number, and no step closes it again."""
    due = Due(Cadence("epoch"))
    due.start(0, None)
    epochs = [0.5, 0.98, 1.02, 1.5, 2.0, 2.0, 4.7, 4.9, None]
    assert [due.epoch_closed(epoch) for epoch in epochs] == [
        False, False, True, False, True, False, True, False, False,
    ]  # fmt: skip


def test_an_epoch_that_rounds_to_just_below():
    """An epoch summed from fractions closes although its sum is 0.9999999999999999."""
    due = Due(Cadence("epoch"))
    due.start(0, None)
    just_below = 0.9999999999999999
    assert just_below < 1
    assert due.epoch_closed(just_below)


def test_checks_every_ten_steps_on_uneven_logs():
    """A check is due at the first settled step that reached or passed each multiple."""
    due = Due(Cadence("steps", 10))
    due.start(0, None)
    steps = [7, 10, 14, 21, 29, 55, 60]
    found = [step for step in steps if due.check(step, epoch_closed=True, evaluated=True)]
    assert found == [10, 21, 55, 60]


def test_checks_at_evaluations_and_epochs():
    """Checks at evaluations skip the baseline at step 0; checks at epochs follow the epoch alone."""
    evals, epochs = Due(Cadence("eval")), Due(Cadence("epoch"))
    assert not evals.check(0, epoch_closed=True, evaluated=True)
    assert evals.check(5, epoch_closed=False, evaluated=True)
    assert not evals.check(5, epoch_closed=True, evaluated=False)
    assert epochs.check(5, epoch_closed=True, evaluated=False)
    assert not epochs.check(5, epoch_closed=False, evaluated=True)


def test_a_run_that_starts_later():
    """After a start at step 25 in epoch 2.5 the next check is at step 30 and the next epoch is the third."""
    due = Due(Cadence("steps", 10))
    due.start(25, 2.5)
    assert not due.check(29, epoch_closed=False, evaluated=False)
    assert due.check(30, epoch_closed=False, evaluated=False)
    assert not due.epoch_closed(2.99)
    assert due.epoch_closed(3.0)


@given(st.integers(1, 50), st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_every_stretch_has_its_check(every, gaps):
    """Whatever the steps logged, a check is due exactly where a multiple lies between a step and the one before."""
    due, step = Due(Cadence("steps", every)), 0
    due.start(0, None)
    for gap in gaps:
        before, step = step, step + gap
        assert due.check(step, epoch_closed=False, evaluated=False) == (step // every > before // every)
