"""`early-stopping` on budgets: hours and tokens, over resumes, and logs that tell neither."""

from __future__ import annotations

import pytest
from steersman_early_stopping import EarlyStopping

from steersman.testing import a_run


def test_the_budget_of_hours():
    """Two epochs of 1800 seconds are an hour, which the check at step 20 finds spent."""
    story = a_run()
    for _ in range(4):
        story = story.takes(1800.0).epoch(loss=1.0)
    played = story.play(EarlyStopping(metric=None, max_hours=1.0))

    assert played.stopped_at == 20
    assert played.proposals[0].because == "the budget of 1 hours is spent"


@pytest.mark.parametrize(
    ("ledger", "stopped_at"), [("backpropagation", 40), ("generation", 20), ("both", 20), ("neither", None)]
)
def test_the_budget_of_tokens_counts_the_ledger_it_names(ledger, stopped_at):
    """Each epoch trains on 300, generates 700 and sends 900 to the teacher; the teacher's never count towards 1,200."""
    story = a_run()
    for _ in range(4):
        story = story.spent("backpropagation", 300).spent("generation", 700).spent("teacher", 900).epoch(loss=1.0)
    options = {"max_hours": 1.0} if ledger == "neither" else {"max_tokens": 1200, "token_ledger": ledger}

    assert story.play(EarlyStopping(metric=None, **options)).stopped_at == stopped_at


def test_tokens_add_up_over_a_resume():
    """600 before the interruption and 600 after it are 1,200: none is forgotten, none counts twice."""
    story = a_run().spent("backpropagation", 600).epoch(loss=1.0).saved().resume()
    story = (
        story.spent("backpropagation", 599).epoch(loss=1.0).spent("backpropagation", 1).epoch(loss=1.0).epoch(loss=1)
    )

    assert story.play(EarlyStopping(metric=None, max_tokens=1200)).stopped_at == 30


def test_a_budget_that_the_logs_cannot_tell_is_a_finding():
    """A run whose logs hold neither time nor tokens says at its end that the limits were never judged."""
    played = a_run().epoch(loss=1.0).play(EarlyStopping(metric=None, max_hours=2.0, max_tokens=10))

    assert [(f.name, f.severity) for f in played.findings] == [("uncounted-budget", "warning")] * 2


def test_all_reasons_are_one_stop():
    """Patience and the hours end at the same check: one proposal with both reasons."""
    story = a_run().takes(1800.0).epoch(loss=1.0).evaluate(eval_loss=1.0)
    story = story.takes(1800.0).epoch(loss=1.0).evaluate(eval_loss=2.0)
    played = story.play(EarlyStopping(patience=1, max_hours=1.0))

    assert [p.because for p in played.proposals] == [
        "the budget of 1 hours is spent; eval_loss: 1 evaluations without improvement on 1 (step 10)"
    ]
