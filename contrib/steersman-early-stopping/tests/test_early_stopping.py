"""`early-stopping` in whole runs: when it stops, when it does not, and what it says meanwhile."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from attrs import define
from steersman_early_stopping import EarlyStopping

from steersman import Adjust, Check, Record, Rollback, Run, RunPlan, Supervisor, hookimpl
from steersman.config import read
from steersman.journal import Journal
from steersman.loading import load
from steersman.testing import Story, a_run, play


def evaluated(*losses: float, story: Story | None = None) -> Story:
    """Return a run that is evaluated after each of its epochs of 10 steps."""
    story = story or a_run()
    for loss in losses:
        story = story.epoch(loss=1.0).evaluate(eval_loss=loss)
    return story


def test_it_stops_after_patience_evaluations_without_improvement():
    """The best is at step 20; with patience 2 the second evaluation after it, at step 40, stops the run."""
    played = evaluated(3.0, 2.0, 2.0, 2.5, 1.0).play(EarlyStopping(patience=2))

    assert played.stopped_at == 40
    assert [(p.action, p.verdict, p.because) for p in played.proposals] == [
        ("stop", "accepted", "eval_loss: 2 evaluations without improvement on 2 (step 20)")
    ]


def test_an_improvement_gives_all_patience_back():
    """One evaluation before the end of patience is enough to begin to count anew."""
    assert evaluated(3.0, 3.1, 2.9, 3.0, 2.8, 2.9).play(EarlyStopping(patience=2)).stopped_at is None


def test_the_default_patience_is_five_evaluations():
    """Four after the best go on, the fifth stops."""
    assert evaluated(1.0, 2.0, 2.0, 2.0, 2.0).play(EarlyStopping).stopped_at is None
    assert evaluated(1.0, 2.0, 2.0, 2.0, 2.0, 2.0).play(EarlyStopping).stopped_at == 60


def test_what_is_better_when_higher():
    """Accuracy rises to 0.75 at step 20; the two evaluations after it are no higher."""
    story = a_run()
    for accuracy in (0.5, 0.75, 0.7, 0.75):
        story = story.epoch(loss=1.0).evaluate(eval_accuracy=accuracy)

    strategy = EarlyStopping(metric="eval_accuracy", direction="higher", patience=2)
    assert story.play(strategy).stopped_at == 40


def test_small_steps_add_up_to_an_improvement():
    """Less than min_delta each, but the best stays what it was: 1.7 is 0.3 below 2, and gives patience back."""
    assert evaluated(2.0, 1.9, 1.8, 1.7, 1.65, 1.6).play(EarlyStopping(patience=3, min_delta=0.25)).stopped_at is None
    assert evaluated(2.0, 1.9, 1.8, 1.7).play(EarlyStopping(patience=3, min_delta=0.5)).stopped_at == 40


def test_how_far_patience_is_used_is_told_at_each_evaluation():
    """As findings of severity info, with the figures."""
    played = evaluated(3.0, 2.0, 2.5).play(EarlyStopping(patience=3))

    assert [(f.step, f.name, f.severity, f.message) for f in played.findings] == [
        (10, "patience", "info", "eval_loss 3 is the best so far: 0 of 3 evaluations of patience used"),
        (20, "patience", "info", "eval_loss 2 is the best so far: 0 of 3 evaluations of patience used"),
        (30, "patience", "info", "eval_loss 2.5: 1 of 3 evaluations without improvement on 2 (step 20)"),
    ]
    assert played.findings[-1].evidence == {"waited": 1, "patience": 3, "newest": 2.5, "best": 2.0}


def test_checks_between_evaluations_say_nothing():
    """With a check every 5 steps and an evaluation every 10, patience is told, and used, once an evaluation."""
    story = a_run()
    for loss in (1.0, 2.0, 2.0):
        story = story.epoch(logs=2, loss=1.0).evaluate(eval_loss=loss)
    played = story.play(EarlyStopping(patience=3), check_every=5)

    assert [f.step for f in played.findings] == [10, 20, 30]
    assert played.stopped_at is None


def test_every_evaluation_counts_where_checks_are_rarer():
    """With a check every 30 steps the three evaluations before it use up a patience of 2."""
    assert evaluated(1.0, 2.0, 2.0, 2.0).play(EarlyStopping(patience=2), check_every=30).stopped_at == 30


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_an_evaluation_that_is_not_finite_is_one_without_improvement(broken):
    """It uses patience, is told as such, and the run that recovers is not thrown away for one of them."""
    played = evaluated(2.0, broken, 1.5, 1.6).play(EarlyStopping(patience=2))

    assert played.stopped_at is None
    assert [f.message for f in played.findings if f.step == 20][-1] == (
        "eval_loss was NaN or infinite, which counts as no improvement: "
        "1 of 2 evaluations without improvement on 2 (step 10)"
    )
    assert evaluated(2.0, broken, broken).play(EarlyStopping(patience=2)).stopped_at == 30


def test_a_run_that_is_never_finite_is_stopped_too():
    """There is no best to name, and the reason says so."""
    played = evaluated(math.nan, math.nan).play(EarlyStopping(patience=2))

    assert played.stopped_at == 20
    assert played.proposals[-1].because == "eval_loss: 2 evaluations without a finite value"


def test_a_metric_that_is_missing_once_is_not_forgotten():
    """An evaluation without it neither counts nor switches anything off: two with it after the best still stop."""
    story = evaluated(1.0, 2.0).epoch(loss=1.0).evaluate(eval_accuracy=0.5)
    played = evaluated(2.0, story=story).play(EarlyStopping(patience=2))

    assert played.stopped_at == 40
    assert [f.step for f in played.findings] == [10, 20, 40]


def test_a_metric_that_never_comes_is_named_in_the_summary():
    """Nothing is judged, and the end of the journal names it with the nearest that came."""
    played = evaluated(1.0, 2.0, 2.0).play(EarlyStopping(metric="eval_los", patience=1))

    assert (played.stopped_at, played.findings) == (None, ())
    assert played.of("end")[0].data["never_came"] == {"eval_los": "eval_loss"}


def test_two_evaluation_sets_at_one_step_are_one_evaluation():
    """Patience 2 is not used up by the two sets of step 20; `eval_loss` stands for the first."""
    story = a_run()
    for loss in (1.0, 2.0, 2.0):
        story = story.epoch(loss=1.0).evaluate(eval_chat_loss=loss).evaluate(eval_code_loss=9.0)

    assert story.play(EarlyStopping(patience=2)).stopped_at == 30


def test_sets_that_the_plan_does_not_tell_of_are_one_evaluation():
    """Two records of a step close it twice; patience 2 is used up at step 30, not by the second record of step 20."""
    config = read({"extends": [], "mode": "act", "check_every": "eval", "use": [EarlyStopping(patience=2)]})
    journal, stops = Journal(None), []
    journal.subscribers.append(lambda entry: stops.append(entry.step) if entry.kind == "proposal" else None)
    supervisor = Supervisor(config, load(config, []), plan=RunPlan(evaluation_sets=1), journal=journal)
    supervisor.begin()
    for step, loss in [(10, 1.0), (20, 2.0), (30, 2.0)]:
        supervisor.feed(Record(step, "eval", {"eval_chat_loss": loss}))
        supervisor.feed(Record(step, "eval", {"eval_code_loss": 9.0}))
    supervisor.settle()

    assert stops == [30]


def test_a_metric_of_training_logs_is_judged_by_its_mean_at_each_check():
    """Rewards of 1 and 3, then 4 and 0, then 2 and 2: means 2, 2, 2, and the second check after the best stops."""
    story = a_run()
    for rewards in ([1.0, 3.0], [4.0, 0.0], [2.0, 2.0]):
        story = story.epoch(logs=2, reward=rewards)
    played = story.play(EarlyStopping(metric="reward", direction="higher", patience=2))

    assert played.stopped_at == 30
    assert played.proposals[0].because == "reward: 2 checks without improvement on 2 (step 10)"


def test_a_check_whose_training_logs_are_all_nan_is_one_without_improvement():
    """A loss that has diverged has no mean, and that is no reason to go on waiting for one."""
    story = a_run().epoch(loss=2.0).epoch(loss=math.nan).epoch(loss=math.nan)

    assert story.play(EarlyStopping(metric="loss", patience=2)).stopped_at == 30


def test_smoothing_judges_the_moving_average():
    """At 0.5 the averages of 4, 1, 2, 2 are 4, 2, 2 and 2: the jump to 1 is no best that nothing can beat."""
    losses = (4.0, 1.0, 2.0, 1.9, 1.8)
    smooth = evaluated(*losses).play(EarlyStopping(patience=2, smoothing=0.5))

    # (1 + 4/2) / 1.5 = 2; (2 + 1/2 + 4/4) / 1.75 = 2; (1.9 + 3.5/2) / 1.875 = 1.946...; (1.8 + 3.65/2) / 1.9375 = 1.87
    assert [f.evidence["newest"] for f in smooth.findings] == pytest.approx(
        [4.0, 2.0, 2.0, 3.65 / 1.875, 3.625 / 1.9375], rel=1e-12
    )
    assert smooth.stopped_at is None
    assert smooth.findings[2].message == "smoothed eval_loss 2: 1 of 2 evaluations without improvement on 2 (step 20)"
    assert evaluated(*losses).play(EarlyStopping(patience=2)).stopped_at == 40


def test_smoothing_leaves_out_what_is_not_finite():
    """One NaN does not make every average after it NaN: (2 + 4/2) / 1.5."""
    played = evaluated(4.0, math.nan, 2.0).play(EarlyStopping(smoothing=0.5))

    assert played.findings[-1].evidence == {"waited": 0, "patience": 5, "newest": 8 / 3, "best": 8 / 3}


@pytest.mark.parametrize("warmup", [{"warmup_evaluations": 2}, {"warmup_steps": 30}])
def test_the_warm_up_is_not_judged(warmup):
    """The low losses of the first two evaluations are neither a best nor a use of patience."""
    assert evaluated(1.0, 1.1, 3.0, 2.9, 2.8).play(EarlyStopping(patience=2, **warmup)).stopped_at is None
    assert evaluated(1.0, 1.1, 3.0, 3.1, 3.2).play(EarlyStopping(patience=2, **warmup)).stopped_at == 50


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_patience_survives_a_resume(at):
    """Wherever the run is interrupted, it stops at the step where the straight run does."""
    losses = (3.0, 2.0, 2.1, 2.2, 2.3)
    story = evaluated(*losses[:at]).saved().resume()

    assert evaluated(*losses[at:], story=story).play(EarlyStopping(patience=3)).stopped_at == 50
    assert evaluated(*losses).play(EarlyStopping(patience=3)).stopped_at == 50


def test_a_stop_that_is_only_advised_is_repeated_in_the_same_words():
    """In advise the run goes on: each check says the same, and none after the run has improved after all."""
    played = evaluated(1.0, 2.0, 2.0, 2.0, 0.5, 0.6).play(EarlyStopping(patience=2), mode="advise")

    assert [(p.step, p.verdict) for p in played.proposals] == [(30, "advised"), (40, "advised")]
    assert {p.because for p in played.proposals} == {"eval_loss: 2 evaluations without improvement on 1 (step 10)"}


@define(eq=False)
class RaisesPenalty:
    """Raise the KL penalty at step 20, after which no loss can be compared with those before."""

    @hookimpl
    def propose_adjustments(self, check: Check) -> Adjust | None:
        return Adjust("kl_penalty", scale=1.1) if check.step == 20 else None


def test_patience_begins_anew_where_metrics_cannot_be_compared():
    """A change of the KL penalty at step 20 lifts every loss: those after it are measured against each other."""
    story = evaluated(1.0, 1.1, 5.0, 4.9, 5.0, story=a_run(kl_penalty=0.1))
    strategies = EarlyStopping(patience=2), RaisesPenalty()

    assert story.play(*strategies, rails={"restart_baselines": True}).stopped_at is None
    assert evaluated(1.0, 1.1, 5.0, story=a_run(kl_penalty=0.1)).play(EarlyStopping(patience=2)).stopped_at == 30


@define(eq=False)
class RollsBack:
    """Roll back at step 30."""

    needs_snapshots = True

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Rollback | None:
        return Rollback("the loss is far above its best") if check.step == 30 else None


def test_a_rollback_gives_patience_back_and_keeps_the_best():
    """The evaluations of weights that were given up do not count; the best before them still has to be beaten."""
    story = evaluated(1.0, 2.0, 9.0, 1.5, 1.4, 1.3)

    assert story.play(EarlyStopping(patience=3), RollsBack).stopped_at == 60
    assert story.play(EarlyStopping(patience=3)).stopped_at == 40


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"patience": 0}, "'patience' must be >= 1"),
        ({"min_delta": -0.1}, "'min_delta' must be >= 0"),
        ({"min_delta": math.nan}, "'min_delta' must be >= 0"),
        ({"smoothing": 1.0}, "'smoothing' must be < 1"),
        ({"max_hours": 0.0}, "'max_hours' must be > 0"),
        ({"max_tokens": -1}, "'max_tokens' must be > 0"),
        ({"metric": None}, "would never stop a run: expected a metric, max_hours or max_tokens"),
        ({"scorer": "eval-loss"}, "metric must be 'score', got 'eval_loss'"),
        ({"metric": "score", "direction": "higher"}, "direction must be 'lower' with metric 'score'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, sentence):
    """Before training starts, with what was expected."""
    with pytest.raises(ValueError, match=sentence):
        EarlyStopping(**options)


def test_a_recorded_run():
    """Of a real run only step 2000, 0.9622 after 0.9600, is without improvement: patience 1 would stop there."""
    path = Path(__file__).parent / "runs" / "roberta-3000.json"

    assert [p.step for p in play(path, EarlyStopping(patience=1)).proposals] == [2000]
    assert play(path, EarlyStopping(patience=2)).proposals == ()
