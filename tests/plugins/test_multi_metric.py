"""`multi-metric`: its rows of the specification, through the real Supervisor."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import Record
from steersman_plugins.multi_metric import terms

USE = ["multi-metric"]


def a_run(eval_loss: float, train_loss: float | None, stale: int) -> list[Record]:
    """A run whose last evaluation, at step 20, has these inputs; one of the same loss before it makes it stale."""
    before = [Record(10, "eval", {"eval_loss": eval_loss})] if stale else []
    log = [Record(20, "train", {"loss": train_loss})] if train_loss is not None else []
    return [*before, *log, Record(20, "eval", {"eval_loss": eval_loss})]


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
def test_score_rows(tell: Any, eval_loss: float, train_loss: float | None, stale: int, score: str, gap: str) -> None:
    """Each row of the score table comes out to the printed digits, with its gap term."""
    journaled = tell(USE, a_run(eval_loss, train_loss, stale)).of("score")[-1]

    assert (f"{journaled['value']:.6f}", f"{journaled['terms']['gap']:.6f}") == (score, gap)


@pytest.mark.parametrize(
    ("logged", "at_event", "used"),
    [
        ([2.5, 2.3, 2.1, 1.9, 1.8], {"eval_loss": 2.0}, {"value": 1.8, "source": "recent", "age_steps": 5}),
        ([], {"eval_loss": 2.0}, None),
        ([2.5], {"eval_loss": 2.0, "loss": 1.7}, {"value": 1.7, "source": "same event", "age_steps": 0}),
    ],
)
def test_train_loss_rows(
    tell: Any, logged: list[float], at_event: dict[str, float], used: dict[str, object] | None
) -> None:
    """The train loss of a checkpoint is that of the same event, else the most recent, with source and age journaled."""
    logs = [Record(10 * (i + 1), "train", {"loss": loss}) for i, loss in enumerate(logged)]
    evaluated = Record(10 * len(logged) + 5, "eval", at_event)

    [score] = tell(USE, [*logs, evaluated]).of("score")

    assert score["train_loss"] == used


def test_the_loss_logged_at_the_very_step_has_age_zero(tell: Any) -> None:
    """A train log at the step of the evaluation, which comes before it, is 'recent' and 0 steps old."""
    [score] = tell(USE, a_run(2.0, 1.8, 0)).of("score")

    assert score["train_loss"] == {"value": 1.8, "source": "recent", "age_steps": 0}


def test_a_train_loss_that_is_nan_is_passed_over(tell: Any) -> None:
    """A NaN in the train log leaves the gap to the last finite loss before it."""
    records = [Record(5, "train", {"loss": 1.8}), Record(10, "train", {"loss": math.nan})]

    [score] = tell(USE, [*records, Record(10, "eval", {"eval_loss": 2.0})]).of("score")

    assert f"{score['value']:.6f}" == "0.966945"
    assert score["train_loss"] == {"value": 1.8, "source": "recent", "age_steps": 5}


def test_a_nan_loss_of_the_same_event_leaves_the_gap_out(tell: Any) -> None:
    """A train loss that is NaN in the very metrics is as good as unknown: 0.936945."""
    [score] = tell(USE, [Record(20, "eval", {"eval_loss": 2.0, "loss": math.nan})]).of("score")

    assert f"{score['value']:.6f}" == "0.936945"


def test_an_evaluation_is_not_compared_with_itself(tell: Any) -> None:
    """A step that is evaluated twice keeps its bonus: the one before is the last of an earlier step."""
    records = [Record(10, "eval", {"eval_loss": 2.0}), *[Record(20, "eval", {"eval_loss": 1.5})] * 2]

    assert [score["terms"]["improvement"] for score in tell(USE, records).of("score")] == [-0.1, -0.1, -0.1]


@pytest.mark.parametrize(
    ("improvement", "bonuses"),
    [("previous", [-0.1, -0.1, 0.0, -0.1, 0.0]), ("best", [-0.1, -0.1, 0.0, 0.0, 0.0])],
)
def test_what_an_evaluation_must_beat(tell: Any, improvement: str, bonuses: list[float]) -> None:
    """`previous` rewards beating the evaluation before, `best` only beating all of them; a tie earns nothing."""
    losses = [2.0, 1.0, 1.5, 1.2, 1.2]
    records = [Record(10 * (i + 1), "eval", {"eval_loss": loss}) for i, loss in enumerate(losses)]

    scores = tell([{"multi-metric": {"improvement": improvement}}], records).of("score")

    assert [score["terms"]["improvement"] for score in scores] == bonuses


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
def test_every_weight_is_an_option(tell: Any, option: str, score: str) -> None:
    """A weight of 0 takes exactly its own term out of the first row's 0.966945."""
    [journaled] = tell([{"multi-metric": {option: 0}}], a_run(2.0, 1.8, 0)).of("score")

    assert f"{journaled['value']:.6f}" == score


@pytest.mark.parametrize("eval_loss", [3.0, 709.0, 710.0, 1e6, 1e300])
def test_the_perplexity_term_never_overflows(tell: Any, eval_loss: float) -> None:
    """From ln(20) on the perplexity term is its weight, 0.1, however large the eval loss."""
    told = tell(USE, a_run(eval_loss, None, 0))

    assert told.of("score")[0]["terms"]["perplexity"] == 0.1
    assert told.of("error") == []


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.sampled_from([0, 1]))
def test_the_terms_keep_their_ranges(eval_loss: float, train_loss: float, stale: int) -> None:
    """For any losses the gap is not negative, the perplexity term within (0, 1], the bonus -1 or 0."""
    found = terms(eval_loss, train_loss, stale)

    assert found["gap"] >= 0
    assert 0 < found["perplexity"] <= 1
    assert found["improvement"] == stale - 1


@pytest.mark.parametrize("metrics", [{"eval_loss": math.nan}, {"eval_accuracy": 0.7}])
def test_without_an_eval_loss_the_next_scorer_is_asked(tell: Any, metrics: dict[str, float]) -> None:
    """No eval loss, or NaN, is no opinion: the score is the next scorer's."""
    use = ["multi-metric", {"score": {"metrics": {"eval_f1": {"direction": "higher"}}}}]

    told = tell(use, [Record(10, "eval", {**metrics, "eval_f1": 0.6})])

    assert [(s["strategy"], s["value"], s["decides"]) for s in told.of("score")] == [("score", -0.6, True)]


def test_an_evaluation_that_was_nan_is_not_the_previous_one(tell: Any) -> None:
    """After a NaN evaluation the next one is compared with the last that had a loss."""
    records = [Record(10 * (i + 1), "eval", {"eval_loss": loss}) for i, loss in enumerate([1.0, math.nan, 1.5])]

    assert [score["terms"]["improvement"] for score in tell(USE, records).of("score")] == [-0.1, 0.0]


def test_a_gap_counts_from_either_side(tell: Any) -> None:
    """A train loss above the eval loss makes the same gap as one as far below."""
    above, below = (tell(USE, a_run(2.0, train, 0)).of("score")[0]["terms"]["gap"] for train in (2.2, 1.8))

    assert f"{above:.6f}" == f"{below:.6f}" == "0.030000"


def test_the_gap_of_a_tiny_eval_loss_is_taken_over_a_thousandth(tell: Any) -> None:
    """Below 0.001 the gap is divided by 0.001: |0.0011 - 0.0001| / 0.001 = 1, weighted 0.3."""
    [score] = tell(USE, a_run(0.0001, 0.0011, 0)).of("score")

    assert f"{score['terms']['gap']:.6f}" == "0.300000"
