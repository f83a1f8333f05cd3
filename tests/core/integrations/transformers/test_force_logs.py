"""`force_logs`: a log at each evaluation and save, so that a checkpoint's train loss is fresh."""

from __future__ import annotations

import pytest

import steersman

WITHOUT = [5, 10]
WITH = [4, 5, 8, 10, 12]


@pytest.mark.parametrize(
    ("mode", "force_logs", "logged"),
    [
        ("observe", "auto", WITHOUT),
        ("observe", "always", WITHOUT),
        ("observe", "never", WITHOUT),
        ("advise", "auto", WITHOUT),
        ("advise", "always", WITH),
        ("advise", "never", WITHOUT),
        ("act", "auto", WITH),
        ("act", "always", WITH),
        ("act", "never", WITHOUT),
    ],
)
def test_when_logs_are_forced(make_trainer, journal, mode, force_logs, logged):
    """`auto` forces logs in act only, `always` in advise too, nothing in observe; that it does is in the journal."""
    trainer = make_trainer(logging_steps=5)
    steersman.supervise(trainer, {"mode": mode, "force_logs": force_logs, "console": False})

    trainer.train()

    assert [e["step"] for e in trainer.state.log_history if "loss" in e] == logged
    assert journal(trainer, "run")[0].data["forces_logs"] is (logged == WITH)


def test_the_age_of_the_train_loss(make_trainer, journal):
    """Logs at 5 and 10, evaluations at 4, 8 and 12: none yet, then 3 and 2 steps old, and its value is the one logged."""
    trainer = make_trainer(logging_steps=5)
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    losses = {e["step"]: e["loss"] for e in trainer.state.log_history if "loss" in e}
    told = {e.step: e.data["train_loss"] for e in journal(trainer, "score") if e.data["decides"]}
    assert told == {
        4: None,
        8: {"value": losses[5], "source": "recent", "age_steps": 3},
        12: {"value": losses[10], "source": "recent", "age_steps": 2},
    }


def test_a_forced_log_makes_it_fresh(make_trainer, journal):
    """In act the train loss of every checkpoint is of the same step: age 0."""
    trainer = make_trainer(logging_steps=5)
    steersman.supervise(trainer, {"mode": "act", "console": False})

    trainer.train()

    losses = {e["step"]: e["loss"] for e in trainer.state.log_history if "loss" in e}
    told = {e.step: e.data["train_loss"] for e in journal(trainer, "score") if e.data["decides"]}
    assert told == {step: {"value": losses[step], "source": "recent", "age_steps": 0} for step in (4, 8, 12)}


def test_by_epoch_and_at_saves_of_their_own(make_trainer):
    """A log is forced at an evaluation by epoch, and at a save without an evaluation."""
    trainer = make_trainer(logging_steps=5, eval_strategy="epoch", save_steps=3)
    steersman.supervise(trainer, {"mode": "act", "console": False})

    trainer.train()

    assert [e["step"] for e in trainer.state.log_history if "loss" in e] == [3, 4, 5, 6, 8, 9, 10, 12]


def test_it_is_said(make_trainer, capsys):
    """That logs are added is said at train begin."""
    trainer = make_trainer(max_steps=1)
    steersman.supervise(trainer, {"mode": "act"})

    trainer.train()

    assert "a log is added at each evaluation and save (force_logs)" in capsys.readouterr().out
