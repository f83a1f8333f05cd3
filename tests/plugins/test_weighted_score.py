"""`score`: the strategy behind the `score:` section of a config."""

from __future__ import annotations

import math
from typing import Any

import pytest

from steersman import ConfigError, Record, RunPlan


def test_named_sets_are_weighted(tell: Any) -> None:
    """0.7 x 1.0 + 0.3 x 2.0 = 1.3, each summand under its name, before any other scorer."""
    records = [
        Record(10, "eval", {"eval_chat_loss": 1.0}),
        Record(10, "eval", {"eval_code_loss": 2.0}),
    ]

    told = tell(
        ["eval-loss"],
        records,
        score={"eval_chat_loss": 0.7, "eval_code_loss": 0.3},
        plan=RunPlan(evaluation_sets=2),
    )

    first, second = told.of("score")
    assert (first["strategy"], first["decides"], second["strategy"]) == ("score", True, "eval-loss")
    assert first["value"] == pytest.approx(1.3)
    assert first["terms"] == pytest.approx({"eval_chat_loss": 0.7, "eval_code_loss": 0.6})


def test_a_metric_that_is_better_when_higher_is_subtracted(tell: Any) -> None:
    """1.0 x 2.0 - 0.5 x 0.8 = 1.6: lower stays better."""
    score = {"eval_loss": 1.0, "eval_accuracy": {"weight": 0.5, "direction": "higher"}}

    [told] = tell([], [Record(10, "eval", {"eval_loss": 2.0, "eval_accuracy": 0.8})], score=score).of("score")

    assert told["value"] == pytest.approx(1.6)


def test_the_direction_decides_the_best(tell: Any) -> None:
    """With direction higher the evaluation of the highest accuracy is best."""
    records = [Record(10 * (i + 1), "eval", {"eval_accuracy": a}) for i, a in enumerate([0.6, 0.9, 0.8])]

    [end] = tell([], records, score={"eval_accuracy": {"direction": "higher"}}).of("end")

    assert end["best"]["step"] == 20


@pytest.mark.parametrize("code", [{}, {"eval_code_loss": math.nan}, {"eval_code_loss": math.inf}])
def test_a_missing_or_non_finite_metric_is_no_opinion(tell: Any, code: dict[str, float]) -> None:
    """Half a sum is no score: the next scorer decides."""
    records = [Record(10, "eval", {"eval_chat_loss": 1.0, "eval_loss": 1.5, **code})]

    told = tell(["eval-loss"], records, score={"eval_chat_loss": 0.7, "eval_code_loss": 0.3})

    assert [(s["strategy"], s["value"]) for s in told.of("score")] == [("eval-loss", 1.5)]


def test_a_metric_that_never_came_is_named_at_the_end(tell: Any) -> None:
    """A misspelt metric is listed at the end of the run with the nearest one that came."""
    records = [Record(10, "eval", {"eval_chat_loss": 1.0})]

    [end] = tell([], records, score={"eval_chta_loss": 1.0}).of("end")

    assert end["never_came"] == {"eval_chta_loss": "eval_chat_loss"}


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ({}, "names no metric"),
        ({"eval_loss": "much"}, "eval_loss"),
        ({"eval_loss": {"direction": "upwards"}}, "direction"),
    ],
)
def test_a_wrong_score_is_a_config_error(tell: Any, score: Any, said: str) -> None:
    """A score without a metric, a weight that is no number and an unknown direction are said before training."""
    with pytest.raises(ConfigError, match=said):
        tell([], [], score=score)
