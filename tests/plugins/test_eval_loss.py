"""`eval-loss`: the fallback scorer."""

from __future__ import annotations

import math

import pytest

from steersman.testing import a_run
from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.multi_metric import MultiMetric
from steersman_plugins.weighted_score import WeightedScore

BEGUN = a_run().epoch()


def test_the_score_is_the_eval_loss() -> None:
    """A finite eval loss is the score, as it is."""
    [score] = BEGUN.evaluate(eval_loss=1.25).play(EvalLoss).of("score")

    assert (score.data["strategy"], score.data["value"], score.data["decides"]) == ("eval-loss", 1.25, True)


def test_it_answers_where_the_scorers_before_it_had_no_opinion() -> None:
    """It decides the evaluation that lacks the first scorer's metric, and only that one."""
    story = BEGUN.evaluate(eval_loss=1.25, eval_f1=0.5).epoch().evaluate(eval_loss=1.5)

    played = story.play(WeightedScore({"eval_f1": 1.0}), EvalLoss)

    scores = [e.data for e in played.of("score") if e.data["decides"]]
    assert [(s["strategy"], s["value"]) for s in scores] == [("weighted-score", 0.5), ("eval-loss", 1.5)]


@pytest.mark.parametrize("metrics", [{"eval_loss": math.nan}, {"eval_loss": math.inf}, {"eval_accuracy": 0.5}])
def test_a_checkpoint_without_an_opinion_is_unscored(metrics: dict[str, float]) -> None:
    """With no finite eval loss the checkpoint is unscored and never best, and the run goes on to score the next."""
    played = BEGUN.evaluate(**metrics).epoch().evaluate(eval_loss=3.0).play(MultiMetric, EvalLoss)

    assert [entry.step for entry in played.of("unscored")] == [10]
    [end] = played.of("end")
    assert (end.data["best"]["step"], end.data["lowest_eval_loss"]["step"]) == (20, 20)
    assert played.errors == ()


def test_a_run_of_nothing_but_nan_has_no_best() -> None:
    """Where every eval loss is NaN nothing is best, and the run still ends with a summary."""
    story = BEGUN.evaluate(eval_loss=math.nan).epoch().evaluate(eval_loss=math.nan).epoch().evaluate(eval_loss=math.nan)

    [end] = story.play(MultiMetric, EvalLoss).of("end")

    assert (end.data["best"], end.data["lowest_eval_loss"], end.data["evaluations"]) == (None, None, 3)


def test_the_first_named_set_stands_in_for_eval_loss() -> None:
    """With several evaluation sets and no `eval_loss`, the first set's loss is it."""
    [score] = BEGUN.evaluate(eval_chat_loss=1.5, eval_code_loss=0.5).play(EvalLoss).of("score")

    assert score.data["value"] == 1.5
