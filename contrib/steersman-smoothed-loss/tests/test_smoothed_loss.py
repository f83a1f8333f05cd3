"""`smoothed-loss`: what the average is, and what it leaves alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from attrs import define
from steersman_smoothed_loss import SmoothedLoss

from steersman import Adjust, Check, Record, RunPlan, Supervisor, hookimpl
from steersman.config import read
from steersman.journal import Journal
from steersman.loading import load
from steersman.testing import Story, a_run, play


def a_run_with(*losses: float) -> Story:
    """Return a run that is evaluated after each of its epochs of 10 steps."""
    story = a_run()
    for loss in losses:
        story = story.epoch(loss=1.0).evaluate(eval_loss=loss)
    return story


def test_the_average_is_corrected_for_its_bias_towards_the_start():
    """At smoothing 0.5 losses weigh 1, 1/2, 1/4: 4, then (2 + 4/2) / 1.5, then (3 + 2/2 + 4/4) / 1.75."""
    played = a_run_with(4.0, 2.0, 3.0).play(SmoothedLoss(smoothing=0.5))

    assert played.scores == pytest.approx({10: 4.0, 20: 8 / 3, 30: 20 / 7}, rel=1e-12)


def test_the_default_smoothing_is_that_of_tensorboard():
    """At 0.6 a loss of 1 after one of 2 is (1 + 0.6 x 2) / 1.6."""
    assert a_run_with(2.0, 1.0).play(SmoothedLoss).scores == pytest.approx({10: 2.0, 20: 1.375}, rel=1e-12)


def test_without_smoothing_it_is_the_loss_itself():
    """Smoothing 0 gives back each loss to the last bit."""
    assert a_run_with(2.3, 1.1, 1.7).play(SmoothedLoss(smoothing=0)).scores == {10: 2.3, 20: 1.1, 30: 1.7}


def test_one_lucky_evaluation_is_not_the_best():
    """A single low loss among high ones loses to the last of a row that is low throughout."""
    losses = (3.0, 1.0, 3.0, 1.2, 1.2, 1.2)

    assert a_run_with(*losses).play(SmoothedLoss(smoothing=0)).best.step == 20
    assert a_run_with(*losses).play(SmoothedLoss).best.step == 60


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_gets_no_opinion_and_leaves_no_trace(broken):
    """The evaluation after it is scored as if it had not been: (1 + 0.5 x 4) / 1.5."""
    played = a_run_with(4.0, broken, 1.0).play(SmoothedLoss(smoothing=0.5))

    assert played.scores == pytest.approx({10: 4.0, 30: 2.0}, rel=1e-12)
    assert played.errors == ()


def test_a_resumed_run_scores_as_a_straight_one_to_the_last_bit():
    """Whether the run was interrupted after an evaluation or in the middle of an epoch."""
    losses = (3.0, 2.5, 2.7, 2.2)
    straight = a_run_with(*losses).play(SmoothedLoss)
    at_evaluation = a_run_with(*losses[:2]).saved().resume()
    for loss in losses[2:]:
        at_evaluation = at_evaluation.epoch(loss=1.0).evaluate(eval_loss=loss)
    within = a_run_with(*losses[:2]).log(steps=5, loss=1.0).resume().log(steps=5, loss=1.0).evaluate(eval_loss=2.7)

    assert at_evaluation.play(SmoothedLoss).scores == straight.scores
    assert within.play(SmoothedLoss).scores == {step: straight.scores[step] for step in (10, 20, 30)}


def test_two_evaluation_sets_at_one_step_are_one_evaluation():
    """`eval_loss` stands for the first set, 4 and 1, and each step counts once: (1 + 0.5 x 4) / 1.5."""
    story = a_run().epoch(loss=1.0).evaluate(eval_chat_loss=4.0).evaluate(eval_code_loss=9.0)
    story = story.epoch(loss=1.0).evaluate(eval_chat_loss=1.0).evaluate(eval_code_loss=6.0)

    assert story.play(SmoothedLoss(smoothing=0.5)).scores == pytest.approx({10: 4.0, 20: 2.0}, rel=1e-12)
    by_code = story.play(SmoothedLoss(metric="eval_code_loss", smoothing=0.5)).scores
    assert by_code == pytest.approx({10: 9.0, 20: 7.0}, rel=1e-12)


def test_a_metric_that_never_comes_is_named_in_the_summary():
    """Nothing is scored, and the end of the journal names it with the nearest metric that came."""
    played = a_run_with(2.0).play(SmoothedLoss(metric="eval_los"))

    assert played.scores == {}
    assert played.of("end")[0].data["never_came"] == {"eval_los": "eval_loss"}


def test_an_evaluation_without_the_metric_is_left_out():
    """Only evaluations that hold the metric are scored; the average goes on from one to the next."""
    story = a_run_with(4.0).epoch(loss=1.0).evaluate(eval_accuracy=0.5).epoch(loss=1.0).evaluate(eval_loss=1.0)

    assert story.play(SmoothedLoss(smoothing=0.5)).scores == pytest.approx({10: 4.0, 30: 2.0}, rel=1e-12)


@define(eq=False)
class MovesTheMetrics:
    """Raise the KL penalty at step 20, after which no loss can be compared with those before."""

    @hookimpl
    def propose_adjustments(self, check: Check) -> Adjust | None:
        return Adjust("kl_penalty", scale=1.1) if check.step == 20 else None


def test_the_average_begins_anew_where_metrics_cannot_be_compared():
    """A change of the KL penalty at step 20 moves the losses: that of step 30 is averaged with none before it."""
    story = a_run(kl_penalty=0.1)
    for loss in (4.0, 2.0, 9.0, 5.0):
        story = story.epoch(loss=1.0).evaluate(eval_loss=loss)
    played = story.play(SmoothedLoss(smoothing=0.5), MovesTheMetrics, rails={"restart_baselines": True})

    assert played.of("restart")[0].step == 20
    assert played.scores == pytest.approx({10: 4.0, 20: 8 / 3, 30: 9.0, 40: 19 / 3}, rel=1e-12)


def scores_of(evaluations, saved=None):
    """Return the (step, score) of evaluations, each (step, name, loss), and the state after them."""
    config = read({"extends": [], "use": [SmoothedLoss(smoothing=0.5)]})
    journal, scores = Journal(None), []
    journal.subscribers.append(lambda e: scores.append((e.step, e.data["value"])) if e.kind == "score" else None)
    supervisor = Supervisor(config, load(config, []), plan=RunPlan(evaluation_sets=1), journal=journal)
    supervisor.begin(past=(), saved=saved)
    for step, name, loss in evaluations:
        supervisor.feed(Record(step, "eval", {f"eval_{name}_loss": loss}))
    return scores, supervisor.save()


def test_asked_twice_at_a_step_it_counts_the_loss_once():
    """Two evaluation sets that nobody announced are two evaluations of one step: (1 + 0.5 x 4) / 1.5 in both."""
    scores, _ = scores_of([(10, "chat", 4.0), (20, "chat", 1.0), (20, "code", 6.0)])

    assert scores == [(10, 4.0), (20, 2.0), (20, 2.0)]


def test_a_resume_needs_none_of_the_records_before_it():
    """A checkpoint of a long run keeps only the newest records; with none of them the average still goes on."""
    _, saved = scores_of([(10, "chat", 4.0)])

    assert scores_of([(20, "chat", 1.0)], saved)[0] == [(20, 2.0)]


@pytest.mark.parametrize("smoothing", [1.0, -0.1, math.nan])
def test_smoothing_outside_its_range_is_refused(smoothing):
    """1 would never move, and less than 0 is no weight."""
    with pytest.raises(ValueError, match="'smoothing' must be"):
        SmoothedLoss(smoothing=smoothing)


def test_a_recorded_run():
    """Of a real run: at 0.5 the first three evaluations, 1.0607, 0.9615 and 0.9600, weigh 1/4, 1/2 and 1 of 7/4."""
    scores = play(Path(__file__).parent / "runs" / "roberta-3000.json", SmoothedLoss(smoothing=0.5)).scores

    assert list(scores) == [500, 1000, 1500, 2000, 2500, 3000]
    assert scores[500] == pytest.approx(1.0607, abs=1e-4)
    assert scores[1500] == pytest.approx((1.0607 / 4 + 0.9615 / 2 + 0.9600) / 1.75, abs=1e-4)
