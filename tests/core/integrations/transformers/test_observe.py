"""In `observe` a run is bit-identical to one without Steersman."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

import steersman

LAYOUTS = {
    "steps": {},
    "logs and evaluations that do not meet": {"logging_steps": 5, "eval_steps": 3},
    "by epoch": {"logging_strategy": "epoch", "eval_strategy": "epoch", "save_strategy": "epoch"},
    "accumulated gradients": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
    "chosen by eval loss": {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"},
}


@pytest.fixture
def observe(cut):
    """A config that observes, with every shipped strategy, one that would change the rate, and logs always forced."""
    use = ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}, "token-accounting", cut(at=(4, 8))]
    allowed = {"learning_rate": {}, "max_grad_norm": {}}
    return {"mode": "observe", "use": use, "hyperparameters": allowed, "force_logs": "always", "console": False}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_a_run_is_bit_identical(make_trainer, everything, assert_same, observe, journal, layout):
    """Parameters, random states and logs are those of the unsupervised run, dropout active, whatever the layout."""
    plain = make_trainer(name="plain", **layout)
    assert plain.model.config.resid_pdrop > 0
    plain.train()
    without = everything(plain)

    watched = make_trainer(name="watched", **layout)
    steersman.supervise(watched, observe)
    watched.train()

    assert_same(everything(watched), without)
    assert journal(watched, "score"), "nothing was scored, so nothing was observed"


def test_printing_draws_nothing(make_trainer, everything, assert_same, observe, monkeypatch, capsys):
    """With the console on, and rich imported for the first time in the run, the random states stay as they are."""
    plain = make_trainer(name="plain")
    plain.train()
    without = everything(plain)
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    watched = make_trainer(name="watched")
    steersman.supervise(watched, observe | {"console": True})

    watched.train()

    assert_same(everything(watched), without)
    assert "mode observe (scores and watches, touches nothing)" in capsys.readouterr().out


def test_a_resumed_run_is_bit_identical(make_trainer, everything, assert_same, observe):
    """A supervised run, interrupted and resumed, leaves what an unsupervised one so interrupted and resumed leaves."""
    left = []
    for config in (None, observe):
        name = "watched" if config else "plain"
        for resume in (None, True):
            trainer = make_trainer(name=name, max_steps=8 if resume is None else 12, lr_scheduler_type="constant")
            if config:
                steersman.supervise(trainer, config)
            trainer.train(resume_from_checkpoint=resume)
        left.append(everything(trainer))

    assert_same(left[1], left[0])


def test_the_checkpoint_files_are_the_same(make_trainer, observe):
    """Optimizer and scheduler states on disk hold nothing of Steersman's."""
    for config in (None, observe):
        trainer = make_trainer(name="watched" if config else "plain")
        if config:
            steersman.supervise(trainer, config)
        trainer.train()

    plain, watched = (Path(trainer.args.output_dir).parent / n / "checkpoint-8" for n in ("plain", "watched"))
    for file in ("optimizer.pt", "scheduler.pt"):
        ours, theirs = (torch.load(f / file, weights_only=False) for f in (watched, plain))
        assert str(ours) == str(theirs)
    logs = [json.loads((f / "trainer_state.json").read_text())["log_history"] for f in (plain, watched)]
    assert [sorted(entry) for entry in logs[0]] == [sorted(entry) for entry in logs[1]]


def test_an_unheard_wish_is_said(make_trainer, observe, journal):
    """`force_logs: always` forces nothing in observe, and that is said at train begin."""
    trainer = make_trainer(logging_steps=5, eval_steps=4)
    steersman.supervise(trainer, observe)
    trainer.train()

    assert [entry["step"] for entry in trainer.state.log_history if "loss" in entry] == [5, 10]
    said = journal(trainer, "run")[0].data["preflight"]
    assert "force_logs is always, but the mode is observe: no log is forced" in said


def test_the_native_score_chooses_without_touching_the_logs(make_trainer, everything, assert_same, observe):
    """`metric_for_best_model` works in observe: the best is chosen by score, and the logs stay as they are."""
    plain = make_trainer(name="plain")
    plain.train()
    without = everything(plain)

    watched = make_trainer(name="watched", metric_for_best_model="steersman_score")
    steersman.supervise(watched, observe)
    watched.train()

    assert_same(everything(watched), without)
    assert isinstance(watched.state.best_metric, float)
