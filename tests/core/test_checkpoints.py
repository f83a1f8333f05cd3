import math

import pytest

from steersman import Checkpoint, Evaluation, Record, Score, TrainLoss
from steersman.checkpoints import Evaluations, first_eval_loss, train_loss_of
from steersman.history import WritableHistory


def history_of(*losses):
    history = WritableHistory()
    for i, loss in enumerate(losses, 1):
        history.append(Record(10 * i, "train", {"loss": loss}))
    return history


@pytest.mark.parametrize(
    ("logged", "metrics", "expected"),
    [
        ((2.5, 2.3, 2.1, 1.9, 1.8), {"eval_loss": 2.0}, TrainLoss(1.8, "recent", 25)),
        ((), {"eval_loss": 2.0}, None),
        ((2.5,), {"eval_loss": 2.0, "loss": 1.7}, TrainLoss(1.7, "same event", 0)),
        ((2.5,), {"eval_loss": 2.0, "train_loss": 1.6}, TrainLoss(1.6, "same event", 0)),
        ((2.5, math.nan), {"eval_loss": 2.0}, TrainLoss(2.5, "recent", 65)),
        ((math.nan,), {"eval_loss": 2.0}, None),
    ],
)
def test_where_the_train_loss_comes_from(logged, metrics, expected):
    """The loss of the same event, else the newest finite one before with its age, else unknown."""
    assert train_loss_of(Evaluation(75, None, metrics), history_of(*logged)) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["eval_chat_loss", "eval_loss"], "eval_loss"),
        (["eval_runtime", "eval_chat_loss", "eval_code_loss"], "eval_chat_loss"),
        (["eval_yahma/alpaca-cleaned_loss"], "eval_yahma/alpaca-cleaned_loss"),
        (["eval_accuracy", "loss"], None),
    ],
)
def test_which_name_serves_as_eval_loss(names, expected):
    """`eval_loss` itself, else the first named set's in order of appearance, else none."""
    assert first_eval_loss(dict.fromkeys(names, 1.0)) == expected


def test_one_set_closes_at_once():
    """With one evaluation set each eval record is an evaluation."""
    evaluation = Evaluations(1).add(Record(10, "eval", {"eval_loss": 2.0}, 0.5))
    assert evaluation == Evaluation(10, 0.5, {"eval_loss": 2.0}, 1)


def test_named_sets_merge():
    """Two sets make one evaluation, closed when both arrived; the first stands in for `eval_loss`, and is named."""
    evaluations = Evaluations(2)
    assert evaluations.add(Record(10, "eval", {"eval_chat_loss": 2.0})) is None
    merged = evaluations.add(Record(10, "eval", {"eval_code_loss": 3.0}))
    assert merged == Evaluation(10, None, {"eval_chat_loss": 2.0, "eval_code_loss": 3.0, "eval_loss": 2.0}, 2)
    assert evaluations.stands_in == "eval_chat_loss"


def test_an_incomplete_evaluation_closes_as_it_stands():
    """Where a set never arrives the evaluation closes with what is there, and the next step begins afresh."""
    evaluations = Evaluations(2)
    evaluations.add(Record(10, "eval", {"eval_chat_loss": 2.0}))
    assert evaluations.close() == Evaluation(10, None, {"eval_chat_loss": 2.0, "eval_loss": 2.0}, 1)
    assert evaluations.add(Record(20, "eval", {"eval_code_loss": 3.0})) is None
    assert evaluations.close().metrics == {"eval_code_loss": 3.0, "eval_loss": 3.0}


def test_nothing_to_close():
    """Without an eval record there is no evaluation."""
    assert Evaluations(0).close() is None


def test_no_loss_at_all():
    """An evaluation without any loss is one, and nothing stands in."""
    evaluations = Evaluations()
    assert evaluations.add(Record(10, "eval", {"eval_accuracy": 0.5})).metrics == {"eval_accuracy": 0.5}
    assert evaluations.stands_in is None


def test_the_score_is_that_of_the_first_scorer():
    """*The* score of a checkpoint is that of the first scorer with an opinion; without one there is none."""
    scores = {"first": Score(2.0), "second": Score(1.0)}
    checkpoint = Checkpoint(10, None, {}, None, scores)
    assert (checkpoint.scorer, checkpoint.score) == ("first", Score(2.0))
    unscored = Checkpoint(10, None, {}, None)
    assert (unscored.scorer, unscored.score) == (None, None)


def test_step_zero_is_the_baseline():
    """Only the checkpoint before the first step is the baseline."""
    assert Checkpoint(0, None, {}, None).is_baseline
    assert not Checkpoint(1, None, {}, None).is_baseline
