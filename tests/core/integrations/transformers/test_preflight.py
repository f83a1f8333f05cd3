"""What is said before the first step: what will silently not happen, and how many checks there will be."""

from __future__ import annotations

from pathlib import Path

import pytest

import steersman


def _said(journal, trainer):
    return journal(trainer, "run")[0].data["preflight"]


def _run(make_trainer, config=None, **settings):
    trainer = make_trainer(**settings)
    steersman.supervise(trainer, {"console": False} | (config or {}))
    trainer.train()
    return trainer


FEW = "this run will have {}: too few to see a trend; set check_every"

SENTENCES = {
    "all is well": ({}, {}, []),
    "no eval strategy": (
        {"eval_strategy": "no"},
        {"check_every": 2},
        ["eval_strategy is no: no checkpoint will be scored"],
    ),
    "no saves": (
        {"save_strategy": "no"},
        {},
        ["save_strategy is no: the best checkpoint will be named, and not kept"],
    ),
    "steps that do not meet": (
        {"eval_steps": 2, "save_steps": 3, "max_steps": 12},
        {},
        ["4 of 6 evaluations (steps 2, 4, 8, 10) can never be kept: save_steps 3 and eval_steps 2 do not meet"],
    ),
    "a share of the run": (
        {"eval_steps": 2, "save_steps": 0.25, "max_steps": 12},
        {},
        ["4 of 6 evaluations (steps 2, 4, 8, 10) can never be kept: save_steps 3 and eval_steps 2 do not meet"],
    ),
    "steps that meet": ({"eval_steps": 2, "save_steps": 1}, {}, []),
    "the last step is always saved": ({"eval_steps": 4, "save_steps": 4, "max_steps": 10}, {}, []),
    "by steps and by epoch": (
        {"eval_strategy": "steps", "save_strategy": "epoch"},
        {},
        ["evaluations by steps and saves by epoch may not meet: such an evaluation can never be kept"],
    ),
    "the best is saved": ({"save_strategy": "best", "metric_for_best_model": "eval_loss"}, {}, []),
    "two checks": ({"eval_steps": 6, "save_steps": 6}, {}, [FEW.format("2 health checks")]),
    "one check": ({"eval_steps": 12, "save_steps": 12}, {}, [FEW.format("1 health check")]),
    "by epoch, two epochs": ({"num_train_epochs": 2}, {"check_every": "epoch"}, [FEW.format("2 health checks")]),
    "a metric that will not come": (
        {},
        {"score": {"eval_law_loss": 1.0}},
        ["the metric eval_law_loss in `score:` will not come; the evaluations give eval_loss"],
    ),
    "a metric that is mapped": ({}, {"score": {"eval_law_loss": 1.0}, "metrics": {"eval_loss": "eval_law_loss"}}, []),
    "a metric that is no loss may come": ({}, {"score": {"eval_accuracy": 1.0}}, []),
}


@pytest.mark.parametrize(("settings", "config", "sentences"), SENTENCES.values(), ids=list(SENTENCES))
def test_each_sentence(make_trainer, journal, settings, config, sentences):
    """Each thing that will silently not happen is one sentence, and a sound run has none."""
    assert _said(journal, _run(make_trainer, config, **settings)) == sentences


def test_what_can_never_be_kept_is_not_kept(make_trainer, journal):
    """The evaluations named as never kept are those for which there is no checkpoint afterwards."""
    trainer = _run(make_trainer, eval_steps=2, save_steps=3)

    evaluated = {e.step for e in journal(trainer, "score")}
    saved = {e.step for e in journal(trainer, "checkpoint_saved")}
    assert sorted(evaluated - saved) == [2, 4, 8, 10]
    assert "steps 2, 4, 8, 10" in _said(journal, trainer)[0]


def test_no_evaluation_set(make_trainer, journal):
    """An evaluation set that is missing is said, as is an eval strategy that is off."""
    trainer = make_trainer(eval_dataset="none", eval_strategy="no")
    trainer.args.eval_strategy = "steps"  # as a subclass with its own evaluate() may have it
    trainer.evaluate = lambda *args, **kwargs: {"eval_loss": 1.0}
    steersman.supervise(trainer, {"console": False, "check_every": 2})
    trainer.train()

    assert _said(journal, trainer) == ["there is no evaluation set: no checkpoint will be scored"]


def test_named_sets_are_known(make_trainer, eval_sets, journal):
    """With named evaluation sets the sentence about a metric that will not come names the losses that will."""
    config = {"score": {"eval_chat_loss": 0.5, "eval_law_loss": 0.5}}

    said = _said(journal, _run(make_trainer, config, eval_dataset=eval_sets))

    expected = "the metric eval_law_loss in `score:` will not come; the evaluations give eval_chat_loss, eval_code_loss"
    assert said == [expected]


CADENCES = {
    "each evaluation": ({}, {}),
    "evaluations that do not divide the run": ({"eval_steps": 5, "save_steps": 5}, {}),
    "evaluations by epoch": ({"eval_strategy": "epoch", "save_strategy": "epoch"}, {}),
    "evaluations by epoch, a partial last": (
        {"eval_strategy": "epoch", "save_strategy": "epoch", "max_steps": 10},
        {},
    ),
    "a baseline first": ({"eval_on_start": True}, {}),
    "each epoch": ({}, {"check_every": "epoch"}),
    "each epoch, a partial last": ({"max_steps": 10}, {"check_every": "epoch"}),
    "each epoch, gradients accumulated": (
        {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 4},
        {"check_every": "epoch"},
    ),
    "every 3 steps, logs that do not meet": ({"logging_steps": 5, "eval_strategy": "no"}, {"check_every": 3}),
    "every step, rare logs": ({"logging_steps": 500, "eval_strategy": "no"}, {"check_every": 1}),
    "every 3 steps in act": ({"logging_steps": 5, "save_steps": 2}, {"check_every": 3, "mode": "act"}),
    "every 5 steps, logs by epoch": ({"logging_strategy": "epoch"}, {"check_every": 5}),
    "no evaluation, rare logs": ({"logging_steps": 5, "eval_strategy": "no"}, {}),
    "no log at all": ({"logging_strategy": "no", "eval_strategy": "no"}, {"check_every": 4}),
    "as many shares of the run": ({"logging_steps": 0.25, "eval_steps": 0.5, "save_steps": 0.5}, {}),
}


@pytest.mark.parametrize(("settings", "config"), CADENCES.values(), ids=list(CADENCES))
def test_as_many_checks_as_were_said(make_trainer, journal, settings, config):
    """The number of checks announced at train begin is the number of scheduled checks the run then has."""
    trainer = _run(make_trainer, config, **settings)

    made = sum(e.data["reason"] == "scheduled" for e in journal(trainer, "check"))
    assert journal(trainer, "run")[0].data["checks_ahead"] == made
    assert any("too few" in sentence for sentence in _said(journal, trainer)) is (made < 3)


def test_where_it_cannot_be_known_nothing_is_promised(make_trainer, journal):
    """With evaluations that begin later, the number of checks is not promised."""
    trainer = _run(make_trainer, eval_delay=6)

    assert journal(trainer, "run")[0].data["checks_ahead"] is None
    assert [e.step for e in journal(trainer, "check") if e.data["reason"] == "scheduled"] == [8, 12]


@pytest.mark.parametrize(("value", "off"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_switch(make_trainer, monkeypatch, everything, assert_same, value, off, caplog):
    """STEERSMAN_DISABLED=1 leaves the run as it is without Steersman, writes nothing, and is said; 0 and nothing do not."""
    plain = make_trainer(name="plain")
    plain.train()
    without = everything(plain)
    monkeypatch.setenv("STEERSMAN_DISABLED", value)
    trainer = make_trainer()
    callback = steersman.supervise(trainer, {"console": False})

    trainer.train()

    folder = trainer.args.output_dir
    assert (callback.summary == {}) is off
    assert Path(folder, "steersman").exists() is not off
    if off:
        assert_same(everything(trainer), without)
        assert [r.getMessage() for r in caplog.records if r.name == "steersman"] == ["steersman is switched off"]


def test_the_health_check_can_be_switched_off(make_trainer, journal):
    """The origin's own switch, `logging.epoch_health_check_enabled: false`, leaves scores and no check."""
    trainer = _run(make_trainer, {"logging": {"epoch_health_check_enabled": False}})

    assert [e for e in journal(trainer, "check") if e.data["reason"] != "end"] == []
    assert {e.step for e in journal(trainer, "score")} == {4, 8, 12}
