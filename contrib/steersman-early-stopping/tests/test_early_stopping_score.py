"""`early-stopping` on the score of a scorer: whose it is, and that no two are compared."""

from __future__ import annotations

import math

from attrs import define
from steersman_early_stopping import EarlyStopping

from steersman import Checkpoint, Score, hookimpl
from steersman.testing import Story, a_run


@define(eq=False)
class Accuracy:
    """Score by accuracy, with no opinion at the steps in `silent_at`."""

    silent_at: int = -1

    @hookimpl
    def score_checkpoint(self, checkpoint: Checkpoint) -> Score | None:
        return None if checkpoint.step == self.silent_at else Score.higher(checkpoint.metrics["eval_accuracy"])


@define(eq=False)
class Loss:
    """Score by eval loss."""

    @hookimpl
    def score_checkpoint(self, checkpoint: Checkpoint) -> Score | None:
        loss = checkpoint.metrics["eval_loss"]
        return Score(loss) if math.isfinite(loss) else Score.reject("the loss is not finite")


def scored(*pairs: tuple[float, float]) -> Story:
    """Return a run with an eval loss and an accuracy in each evaluation."""
    story = a_run()
    for loss, accuracy in pairs:
        story = story.epoch(loss=1.0).evaluate(eval_loss=loss, eval_accuracy=accuracy)
    return story


def test_the_score_that_decides_is_judged():
    """The first scorer's, accuracy, rises until step 20, while the loss, which is second, falls throughout."""
    pairs = (3.0, 0.5), (2.0, 0.7), (1.0, 0.6), (0.5, 0.7)
    played = scored(*pairs).play(Accuracy, Loss, EarlyStopping(metric="score", patience=2))

    assert played.stopped_at == 40
    assert played.proposals[0].because == "score: 2 evaluations without improvement on -0.7 (step 20)"


def test_a_named_scorer_is_judged_though_another_decides():
    """The loss has its best at step 10, while accuracy rises."""
    pairs = (1.0, 0.5), (2.0, 0.6), (3.0, 0.7)
    strategy = EarlyStopping(metric="score", scorer="loss", patience=2)

    assert scored(*pairs).play(Accuracy, Loss, strategy).stopped_at == 30


def test_scores_of_two_scorers_are_never_compared():
    """At step 20 only the loss has an opinion, 0.1, which says nothing about accuracy: the evaluation is left out."""
    pairs = (1.0, 0.5), (0.1, 0.6), (1.0, 0.7), (1.0, 0.8)
    played = scored(*pairs).play(Accuracy(silent_at=20), Loss, EarlyStopping(metric="score", patience=1))

    assert played.stopped_at is None
    assert [(f.step, f.evidence["best"]) for f in played.findings] == [(10, -0.5), (30, -0.7), (40, -0.8)]


def test_a_rejected_checkpoint_is_no_improvement():
    """A scorer that rejects what is not finite uses patience as a NaN does."""
    pairs = (1.0, 0.5), (math.nan, 0.6), (math.nan, 0.7)

    assert scored(*pairs).play(Loss, EarlyStopping(metric="score", patience=2)).stopped_at == 30


def test_a_scorer_that_never_scores_is_told():
    """A misspelt scorer would be waited for in silence; the end of the run says who did score."""
    played = scored((1.0, 0.5)).play(Accuracy, Loss, EarlyStopping(metric="score", scorer="los"))

    assert [f.message for f in played.findings] == ["no evaluation had a score of los; the scorers are accuracy, loss"]
