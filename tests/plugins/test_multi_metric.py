"""`multi-metric`: its rows of the specification, through the real Supervisor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman.testing import Played, Story, a_run
from steersman_plugins.multi_metric import MultiMetric, terms
from steersman_plugins.weighted_score import Weight, WeightedScore


def evaluated(eval_loss: float, train_loss: float | None, stale: int) -> Story:
    """A run whose last evaluation, at step 20, has these inputs; one of the same loss before it makes it stale."""
    story = a_run().epoch()
    before = story.evaluate(eval_loss=eval_loss) if stale else story
    log = {} if train_loss is None else {"loss": train_loss}
    return before.epoch(**log).evaluate(eval_loss=eval_loss)


def scores(played: Played) -> list[Mapping[str, Any]]:
    return [entry.data for entry in played.of("score")]


@pytest.mark.parametrize(
    ("eval_loss", "train_loss", "stale", "score", "gap"),
    [
        (2.0, 1.8, 0, "0.966945", "0.030000"),
        (2.0, None, 0, "0.936945", "0.000000"),
        (2.0, 0.5, 1, "1.261945", "0.225000"),
        (2.0, None, 1, "1.036945", "0.000000"),
        (0.5, 0.45, 0, "0.188244", "0.030000"),
        (0.4, 0.1, 1, "0.432459", "0.225000"),
    ],
)
def test_score_rows(eval_loss: float, train_loss: float | None, stale: int, score: str, gap: str) -> None:
    """Each row of the score table comes out to the printed digits, with its gap term."""
    journaled = scores(evaluated(eval_loss, train_loss, stale).play(MultiMetric))[-1]

    assert (f"{journaled['value']:.6f}", f"{journaled['terms']['gap']:.6f}") == (score, gap)


@pytest.mark.parametrize(
    ("logged", "at_event", "used"),
    [
        ([2.5, 2.3, 2.1, 1.9, 1.8], {"eval_loss": 2.0}, {"value": 1.8, "source": "recent", "age_steps": 5}),
        ([], {"eval_loss": 2.0}, None),
        ([2.5], {"eval_loss": 2.0, "loss": 1.7}, {"value": 1.7, "source": "same event", "age_steps": 0}),
    ],
)
def test_train_loss_rows(logged: list[float], at_event: dict[str, float], used: dict[str, object] | None) -> None:
    """The train loss of a checkpoint is that of the same event, else the most recent, with source and age journaled."""
    story = a_run()
    for loss in logged:
        story = story.epoch(loss=loss)

    [score] = scores(story.log(steps=5).evaluate(**at_event).play(MultiMetric))

    assert score["train_loss"] == used


def test_the_loss_logged_at_the_very_step_has_age_zero() -> None:
    """A train log at the step of the evaluation, which comes before it, is 'recent' and 0 steps old."""
    [score] = scores(evaluated(2.0, 1.8, 0).play(MultiMetric))

    assert score["train_loss"] == {"value": 1.8, "source": "recent", "age_steps": 0}


def test_a_train_loss_that_is_nan_is_passed_over() -> None:
    """A NaN in the train log leaves the gap to the last finite loss before it."""
    story = a_run().epoch(logs=2, loss=[1.8, math.nan]).evaluate(eval_loss=2.0)

    [score] = scores(story.play(MultiMetric))

    assert f"{score['value']:.6f}" == "0.966945"
    assert score["train_loss"] == {"value": 1.8, "source": "recent", "age_steps": 5}


def test_a_nan_loss_of_the_same_event_leaves_the_gap_out() -> None:
    """A train loss that is NaN in the very metrics is as good as unknown: 0.936945."""
    [score] = scores(a_run().epoch().evaluate(eval_loss=2.0, loss=math.nan).play(MultiMetric))

    assert f"{score['value']:.6f}" == "0.936945"


def test_an_evaluation_is_not_compared_with_itself() -> None:
    """A step that is evaluated twice keeps its bonus: the one before is the last of an earlier step."""
    story = a_run().epoch().evaluate(eval_loss=2.0).epoch().evaluate(eval_loss=1.5).evaluate(eval_loss=1.5)

    assert [score["terms"]["improvement"] for score in scores(story.play(MultiMetric))] == [-0.1, -0.1, -0.1]


@pytest.mark.parametrize(
    ("improvement", "bonuses"),
    [("previous", [-0.1, -0.1, 0.0, -0.1, 0.0]), ("best", [-0.1, -0.1, 0.0, 0.0, 0.0])],
)
def test_what_an_evaluation_must_beat(improvement: Literal["previous", "best"], bonuses: list[float]) -> None:
    """`previous` rewards beating the evaluation before, `best` only beating all of them; a tie earns nothing."""
    story = a_run()
    for loss in (2.0, 1.0, 1.5, 1.2, 1.2):
        story = story.epoch().evaluate(eval_loss=loss)

    played = story.play(MultiMetric(improvement=improvement))

    assert [score["terms"]["improvement"] for score in scores(played)] == bonuses


def test_an_unknown_count_is_stale() -> None:
    """Where the evaluations without improvement are not known, they count as one: no bonus."""
    assert terms(2.0, 1.8, None)["improvement"] == 0.0


@pytest.mark.parametrize(
    ("option", "score"),
    [
        ("eval_loss_weight", "-0.033055"),
        ("gap_weight", "0.936945"),
        ("perplexity_weight", "0.930000"),
        ("improvement_weight", "1.066945"),
    ],
)
def test_every_weight_is_an_option(option: str, score: str) -> None:
    """A weight of 0 takes exactly its own term out of the first row's 0.966945."""
    [value] = evaluated(2.0, 1.8, 0).play(MultiMetric(**{option: 0.0})).scores.values()

    assert f"{value:.6f}" == score


@pytest.mark.parametrize("eval_loss", [3.0, 709.0, 710.0, 1e6, 1e300])
def test_the_perplexity_term_never_overflows(eval_loss: float) -> None:
    """From ln(20) on the perplexity term is its weight, 0.1, however large the eval loss."""
    played = evaluated(eval_loss, None, 0).play(MultiMetric)

    assert scores(played)[0]["terms"]["perplexity"] == 0.1
    assert played.errors == ()


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.sampled_from([0, 1]))
def test_the_terms_keep_their_ranges(eval_loss: float, train_loss: float, stale: int) -> None:
    """For any losses the gap is not negative, the perplexity term within (0, 1], the bonus -1 or 0."""
    found = terms(eval_loss, train_loss, stale)

    assert found["gap"] >= 0
    assert 0 < found["perplexity"] <= 1
    assert found["improvement"] == stale - 1


@pytest.mark.parametrize("metrics", [{"eval_loss": math.nan}, {"eval_accuracy": 0.7}])
def test_without_an_eval_loss_the_next_scorer_is_asked(metrics: dict[str, float]) -> None:
    """No eval loss, or NaN, is no opinion: the score is the next scorer's."""
    second = WeightedScore({"eval_f1": Weight(direction="higher")})

    played = a_run().epoch().evaluate(**metrics, eval_f1=0.6).play(MultiMetric, second)

    assert [(s["strategy"], s["value"], s["decides"]) for s in scores(played)] == [("weighted-score", -0.6, True)]


def test_an_evaluation_that_was_nan_is_not_the_previous_one() -> None:
    """After a NaN evaluation the next one is compared with the last that had a loss."""
    story = a_run()
    for loss in (1.0, math.nan, 1.5):
        story = story.epoch().evaluate(eval_loss=loss)

    assert [score["terms"]["improvement"] for score in scores(story.play(MultiMetric))] == [-0.1, 0.0]


def test_a_gap_counts_from_either_side() -> None:
    """A train loss above the eval loss makes the same gap as one as far below."""
    above, below = (scores(evaluated(2.0, t, 0).play(MultiMetric))[0]["terms"]["gap"] for t in (2.2, 1.8))

    assert f"{above:.6f}" == f"{below:.6f}" == "0.030000"


def test_the_gap_of_a_tiny_eval_loss_is_taken_over_a_thousandth() -> None:
    """Below 0.001 the gap is divided by 0.001: |0.0011 - 0.0001| / 0.001 = 1, weighted 0.3."""
    [score] = scores(evaluated(0.0001, 0.0011, 0).play(MultiMetric))

    assert f"{score['terms']['gap']:.6f}" == "0.300000"
