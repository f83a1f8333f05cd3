"""The score as the Trainer's own metric: it chooses the best model, and no evaluation is ever without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from attrs import define
from safetensors.torch import load_file
from transformers import EarlyStoppingCallback, Trainer

import steersman
from steersman import Score, hookimpl

SCORES = {4: 5.0, 8: 1.5, 12: 9.0}


@define(eq=False)
class Written:
    """Scores each step as it is told; lower is better. A step it does not know it rejects."""

    scores: dict[int, float]

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        value = self.scores.get(checkpoint.step)
        return Score.reject("not in the table") if value is None else Score(value)


@define(eq=False)
class Silent:
    """Has no opinion."""

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return None


class NoLoss(Trainer):
    """Evaluates without a loss, as where the model returns none, so that only compute_metrics tells something."""

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        _, logits, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        return None, logits, labels


def _config(*use, **settings):
    return {"extends": [], "use": list(use), "console": False} | settings


def _state(trainer, step):
    return json.loads((Path(trainer.args.output_dir) / f"checkpoint-{step}" / "trainer_state.json").read_text())


CHOSEN = {"metric_for_best_model": "steersman_score", "load_best_model_at_end": True}


@pytest.mark.parametrize("mode", ["observe", "advise", "act"])
@pytest.mark.parametrize("limit", [None, 1, 2])
def test_the_best_by_score_is_loaded_and_kept(make_trainer, limit, mode):
    """load_best_model_at_end loads the checkpoint with the lowest score, and save_total_limit keeps it."""
    trainer = make_trainer(save_total_limit=limit, **CHOSEN)
    steersman.supervise(trainer, _config(Written(SCORES), mode=mode))

    trainer.train()

    assert (trainer.state.best_global_step, trainer.state.best_metric) == (8, 1.5)
    best = load_file(Path(trainer.args.output_dir) / "checkpoint-8" / "model.safetensors")
    now = trainer.model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in best.items())


@pytest.mark.parametrize("name", ["steersman_score", "eval_steersman_score"])
@pytest.mark.parametrize("given", [None, True])
def test_the_direction_is_set_and_said(make_trainer, name, given, journal):
    """The Trainer would take the score for better when higher; that is set right, whatever was given, and said."""
    trainer = make_trainer(metric_for_best_model=name, load_best_model_at_end=True, greater_is_better=given)
    assert trainer.args.greater_is_better is True
    steersman.supervise(trainer, _config(Written(SCORES)))

    trainer.train()

    assert trainer.args.greater_is_better is False
    said = journal(trainer, "run")[0].data["preflight"]
    assert "greater_is_better was set to False: a lower steersman_score is better" in said
    assert trainer.state.best_global_step == 8


def test_the_direction_of_another_metric_is_left_alone(make_trainer, journal):
    """Where another metric chooses, its direction is the user's, and nothing is said."""
    trainer = make_trainer(metric_for_best_model="eval_runtime", greater_is_better=True)
    steersman.supervise(trainer, _config(Written(SCORES)))

    trainer.train()

    assert trainer.args.greater_is_better is True
    assert not any("greater_is_better" in s for s in journal(trainer, "run")[0].data["preflight"])


def test_a_plain_callback_sets_the_direction_too(make_trainer):
    """callbacks=[SteersmanCallback()] sets the direction when the Trainer is made, and chooses the same checkpoint."""
    trainer = make_trainer(callbacks=[steersman.SteersmanCallback(_config(Written(SCORES)))], **CHOSEN)
    assert trainer.args.greater_is_better is False

    trainer.train()

    assert (trainer.state.best_global_step, trainer.state.best_metric) == (8, 1.5)


UNSCORED = {
    "a config with no scorer": _config(),
    "a scorer without an opinion": _config(Silent()),
    "a scorer that rejects all": _config(Written({})),
}


@pytest.mark.parametrize("config", UNSCORED.values(), ids=list(UNSCORED))
@pytest.mark.parametrize("extra", [{}, {"eval_on_start": True}], ids=["", "eval_on_start"])
def test_what_nobody_scores_is_never_best_and_never_kills(make_trainer, config, extra):
    """Where nothing is scored the run comes to its end, nothing is best, and no log holds an infinity."""
    trainer = make_trainer(**CHOSEN, **extra)
    steersman.supervise(trainer, config)

    trainer.train()

    assert trainer.state.global_step == 12
    assert trainer.state.best_global_step is None
    assert not any("eval_steersman_score" in entry for entry in trainer.state.log_history)


def test_a_model_without_a_loss_is_never_best_and_never_kills(make_trainer, journal):
    """Metrics of compute_metrics alone, without eval_loss, are unscored: the run ends, and the journal says so."""
    metrics = {"compute_metrics": lambda prediction: {"accuracy": 0.5}}
    trainer = make_trainer(kind=NoLoss, parts=metrics, **CHOSEN)
    steersman.supervise(trainer, _config("multi-metric", "eval-loss"))

    trainer.train()

    evaluations = [entry for entry in trainer.state.log_history if "eval_accuracy" in entry]
    assert [entry["step"] for entry in evaluations] == [4, 8, 12]
    assert not any("eval_loss" in entry for entry in evaluations)
    assert [entry.step for entry in journal(trainer, "unscored")] == [4, 8, 12]
    assert trainer.state.best_global_step is None


@pytest.mark.parametrize("extra", [{}, {"eval_on_start": True}], ids=["", "eval_on_start"])
def test_several_sets_have_one_score(make_trainer, eval_sets, extra):
    """With two evaluation sets the score comes with the last, once a step, and chooses the best."""
    trainer = make_trainer(eval_dataset=eval_sets, **CHOSEN, **extra)
    steersman.supervise(trainer, _config(Written(SCORES)))

    trainer.train()

    scored = [(e["step"], e["eval_steersman_score"]) for e in trainer.state.log_history if "eval_steersman_score" in e]
    assert scored == list(SCORES.items())
    assert (trainer.state.best_global_step, trainer.state.best_metric) == (8, 1.5)


def test_best_metric_is_json(make_trainer):
    """best_metric is a Python float, in the state and in the trainer_state.json of a checkpoint."""
    trainer = make_trainer(**CHOSEN)
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    assert type(trainer.state.best_metric) is float
    state = _state(trainer, 12)
    assert state["best_metric"] == trainer.state.best_metric
    scores = {e["step"]: e["eval_steersman_score"] for e in state["log_history"] if "eval_loss" in e}
    assert sorted(scores) == [4, 8, 12]
    assert state["best_metric"] == min(scores.values())


def test_early_stopping_hears_the_score(make_trainer):
    """EarlyStoppingCallback, on the score, stops when it no longer falls."""
    stopping = EarlyStoppingCallback(early_stopping_patience=1)
    trainer = make_trainer(callbacks=[stopping], eval_steps=2, save_steps=2, **CHOSEN)
    steersman.supervise(trainer, _config(Written({2: 3.0, 4: 2.0, 6: 4.0, 8: 1.0})))

    trainer.train()

    assert trainer.state.global_step == 6
    assert trainer.state.best_global_step == 4


def test_switched_off_the_eval_loss_stands_in(make_trainer, monkeypatch):
    """With STEERSMAN_DISABLED=1 the Trainer still finds the key it was told to choose by: the eval loss."""
    monkeypatch.setenv("STEERSMAN_DISABLED", "1")
    trainer = make_trainer(**CHOSEN)
    steersman.supervise(trainer, _config(Written(SCORES)))

    trainer.train()

    losses = {e["step"]: e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e}
    assert trainer.state.best_global_step == min(losses, key=losses.get)
    assert trainer.state.best_metric == min(losses.values())


def test_an_evaluation_outside_a_run_is_not_given_a_score(make_trainer):
    """evaluate() before and after a run returns the metrics of the Trainer alone."""
    trainer = make_trainer(**CHOSEN)
    steersman.supervise(trainer, _config(Written(SCORES)))

    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()

    assert "eval_loss" in before and "eval_loss" in after
    assert "eval_steersman_score" not in {**before, **after}


def test_without_steersman_the_trainer_dies(make_trainer):
    """The reason for all this: a Trainer told to choose by a metric that does not come raises KeyError."""
    trainer = make_trainer(**CHOSEN)
    assert isinstance(trainer, Trainer)

    with pytest.raises(KeyError, match="steersman_score"):
        trainer.train()


class Qualities(Trainer):
    """A Trainer whose evaluations give the quality written here, by step; none where the step is not in it."""

    qualities: dict[int, float] = {}

    def evaluation_loop(self, *args, **kwargs):
        output = super().evaluation_loop(*args, **kwargs)
        if self.state.global_step in self.qualities:
            output.metrics["eval_quality"] = self.qualities[self.state.global_step]
        return output


@pytest.mark.parametrize(
    ("qualities", "best"),
    [({4: 0.0, 8: 1.0}, 8), ({4: 1.0, 8: 1.0}, 4), ({8: 0.5, 12: 0.5}, None), ({}, None)],
)
def test_what_is_required_holds_for_the_trainers_best_too(make_trainer, journal, qualities, best):
    """A checkpoint that fails or waits is infinity to the Trainer, however good its score: 4, 8, 12 score 1, 2, 3."""
    trainer = make_trainer(kind=Qualities, save_total_limit=1, **CHOSEN)
    trainer.qualities = qualities
    scores = {4: 1.0, 8: 2.0, 12: 3.0}
    steersman.supervise(trainer, _config(Written(scores), score={"require": {"eval_quality": ">= 1"}}))

    trainer.train()

    assert trainer.state.best_global_step == best
    assert trainer.state.best_metric == (scores[best] if best else float("inf"))
    [begin] = journal(trainer, "run")
    assert any("names eval_quality: to the Trainer no checkpoint is best" in said for said in begin.data["preflight"])
