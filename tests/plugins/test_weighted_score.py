"""`score`: the strategy behind the `score:` section of a config."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from steersman import ConfigError, replay
from steersman.testing import a_run
from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.weighted_score import Weight, WeightedScore

SETS = {"eval_chat_loss": 0.7, "eval_code_loss": 0.3}
BEGUN = a_run().epoch()


def test_named_sets_are_weighted() -> None:
    """0.7 x 1.0 + 0.3 x 2.0 = 1.3, each summand under its name."""
    story = BEGUN.evaluate(eval_chat_loss=1.0).evaluate(eval_code_loss=2.0)

    first, second = story.play(WeightedScore(SETS), EvalLoss).of("score")

    assert (first.data["strategy"], first.data["decides"]) == ("weighted-score", True)
    assert second.data["strategy"] == "eval-loss"
    assert first.data["value"] == pytest.approx(1.3)
    assert first.data["terms"] == pytest.approx({"eval_chat_loss": 0.7, "eval_code_loss": 0.6})


def test_a_score_section_comes_before_any_scorer(tmp_path: Path) -> None:
    """The section of a config is the strategy `score`, asked before those of `use`: 0.7 x 1.0 + 0.3 x 2.0 = 1.3."""
    log = [{"step": 10, "eval_chat_loss": 1.0}, {"step": 10, "eval_code_loss": 2.0}]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": log, "global_step": 10}))

    first, second = replay(path, {"use": ["eval-loss"], "score": SETS}).of("score")

    assert (first.data["strategy"], first.data["decides"], second.data["strategy"]) == ("score", True, "eval-loss")
    assert first.data["value"] == pytest.approx(1.3)


def test_a_metric_that_is_better_when_higher_is_subtracted() -> None:
    """1.0 x 2.0 - 0.5 x 0.8 = 1.6: lower stays better."""
    scorer = WeightedScore({"eval_loss": 1.0, "eval_accuracy": Weight(0.5, "higher")})

    played = BEGUN.evaluate(eval_loss=2.0, eval_accuracy=0.8).play(scorer)

    assert played.scores == {10: pytest.approx(1.6)}


def test_the_direction_decides_the_best() -> None:
    """With direction higher the evaluation of the highest accuracy is best."""
    story = BEGUN.evaluate(eval_accuracy=0.6).epoch().evaluate(eval_accuracy=0.9).epoch().evaluate(eval_accuracy=0.8)

    [end] = story.play(WeightedScore({"eval_accuracy": Weight(direction="higher")})).of("end")

    assert end.data["best"]["step"] == 20


@pytest.mark.parametrize("code", [{}, {"eval_code_loss": math.nan}, {"eval_code_loss": math.inf}])
def test_a_missing_or_non_finite_metric_is_no_opinion(code: dict[str, float]) -> None:
    """Half a sum is no score: the next scorer decides."""
    played = BEGUN.evaluate(eval_chat_loss=1.0, eval_loss=1.5, **code).play(WeightedScore(SETS), EvalLoss)

    assert [(e.data["strategy"], e.data["value"]) for e in played.of("score")] == [("eval-loss", 1.5)]


def test_a_metric_that_never_came_is_named_at_the_end() -> None:
    """A misspelt metric is listed at the end of the run with the nearest one that came."""
    [end] = BEGUN.evaluate(eval_chat_loss=1.0).play(WeightedScore({"eval_chta_loss": 1.0})).of("end")

    assert end.data["never_came"] == {"eval_chta_loss": "eval_chat_loss"}


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ({}, "names no metric"),
        ({"eval_loss": "much"}, "eval_loss"),
        ({"eval_loss": {"direction": "upwards"}}, "direction"),
    ],
)
def test_a_wrong_score_is_a_config_error(tmp_path: Path, score: Any, said: str) -> None:
    """A score without a metric, a weight that is no number and an unknown direction are said before training."""
    with pytest.raises(ConfigError, match=said):
        replay(tmp_path / "trainer_state.json", {"use": [], "score": score})
