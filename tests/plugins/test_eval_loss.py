"""`eval-loss`: the fallback scorer."""

from __future__ import annotations

import math
from typing import Any

import pytest

from steersman import Record


def test_the_score_is_the_eval_loss(tell: Any) -> None:
    """A finite eval loss is the score, as it is."""
    [score] = tell(["eval-loss"], [Record(10, "eval", {"eval_loss": 1.25})]).of("score")

    assert (score["strategy"], score["value"], score["decides"]) == ("eval-loss", 1.25, True)


def test_it_answers_where_the_scorers_before_it_had_no_opinion(tell: Any) -> None:
    """It decides the evaluation that lacks the first scorer's metric, and only that one."""
    records = [
        Record(10, "eval", {"eval_loss": 1.25, "eval_f1": 0.5}),
        Record(20, "eval", {"eval_loss": 1.5}),
    ]

    told = tell([{"score": {"metrics": {"eval_f1": 1.0}}}, "eval-loss"], records)

    assert [(s["strategy"], s["value"]) for s in told.of("score", decides=True)] == [("score", 0.5), ("eval-loss", 1.5)]


@pytest.mark.parametrize("metrics", [{"eval_loss": math.nan}, {"eval_loss": math.inf}, {"eval_accuracy": 0.5}])
def test_a_checkpoint_without_an_opinion_is_unscored(tell: Any, metrics: dict[str, float]) -> None:
    """With no finite eval loss the checkpoint is unscored and never best, and the run goes on to score the next."""
    records = [Record(10, "eval", metrics), Record(20, "eval", {"eval_loss": 3.0})]

    told = tell(["multi-metric", "eval-loss"], records)

    assert [entry.step for entry in told.entries if entry.kind == "unscored"] == [10]
    [end] = told.of("end")
    assert (end["best"]["step"], end["lowest_eval_loss"]["step"]) == (20, 20)
    assert told.of("error") == []


def test_a_run_of_nothing_but_nan_has_no_best(tell: Any) -> None:
    """Where every eval loss is NaN nothing is best, and the run still ends with a summary."""
    records = [Record(10 * i, "eval", {"eval_loss": math.nan}) for i in (1, 2, 3)]

    [end] = tell(["multi-metric", "eval-loss"], records).of("end")

    assert (end["best"], end["lowest_eval_loss"], end["evaluations"]) == (None, None, 3)


def test_the_first_named_set_stands_in_for_eval_loss(tell: Any) -> None:
    """With several evaluation sets and no `eval_loss`, the first set's loss is it."""
    records = [Record(10, "eval", {"eval_chat_loss": 1.5, "eval_code_loss": 0.5})]

    assert [score["value"] for score in tell(["eval-loss"], records).of("score")] == [1.5]
