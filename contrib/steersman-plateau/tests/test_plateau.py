"""`plateau` in whole runs: when it asks for a cut, when it holds still, and what it does where none is made."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from attrs import define
from steersman_plateau import Plateau

from steersman import Adjust, Check, Rollback, hookimpl
from steersman.testing import Story, a_run, play


def evaluated(*losses: float, story: Story | None = None) -> Story:
    """Return a run that is evaluated after each of its epochs of 10 steps."""
    story = story or a_run(learning_rate=0.1)
    for loss in losses:
        story = story.epoch(loss=1.0).evaluate(eval_loss=loss)
    return story


def test_it_halves_the_rate_after_more_than_patience_evaluations_without_improvement():
    """The best is at step 20; a patience of 2 lets steps 30 and 40 pass, and step 50 leads to the cut."""
    played = evaluated(3.0, 2.0, 2.0, 2.1, 2.2).play(Plateau(patience=2))

    assert [(c.step, c.old, c.new, c.because) for c in played.changes] == [(50, 0.1, 0.05, "plateau of eval_loss")]
    assert [(f.step, f.name, f.severity, f.message) for f in played.findings] == [
        (50, "plateau", "info", "eval_loss has not improved for 3 evaluations: the best is 2")
    ]


def test_after_a_cut_it_counts_anew():
    """Patience 1: bad evaluations at 20 and 30 cut, then 40 and 50 cut again."""
    played = evaluated(2.0, 2.0, 2.0, 2.0, 2.0, 2.0).play(Plateau(patience=1))

    assert [(c.step, c.new) for c in played.changes] == [(30, 0.05), (50, 0.025)]


def test_while_it_cools_down_no_evaluation_is_bad():
    """Patience 0, cooldown 2: the cut at 20, then 30 and 40 are not counted, and 50 cuts again."""
    played = evaluated(2.0, 2.0, 2.0, 2.0, 2.0).play(Plateau(patience=0, cooldown=2))

    assert [c.step for c in played.changes] == [20, 50]


def test_an_improvement_must_exceed_the_threshold():
    """2 to 1.9 is 5 %: an improvement at a relative threshold of 0.04, none at 0.06, none at an absolute 0.2."""
    story = evaluated(2.0, 1.9)

    assert story.play(Plateau(patience=0, threshold=0.04)).changes == ()
    assert [c.step for c in story.play(Plateau(patience=0, threshold=0.06)).changes] == [20]
    assert [c.step for c in story.play(Plateau(patience=0, threshold=0.2, threshold_mode="abs")).changes] == [20]


def test_what_is_better_when_higher():
    """An accuracy that rises is left alone, one that falls is not."""
    story = a_run(learning_rate=0.1)
    for accuracy in (0.5, 0.6, 0.7, 0.6):
        story = story.epoch(loss=1.0).evaluate(eval_accuracy=accuracy)

    assert [c.step for c in story.play(Plateau(metric="eval_accuracy", mode="max", patience=0)).changes] == [40]


def test_no_cut_leads_below_the_least_rate():
    """0.1 to 0.05 to 0.04, and then nothing more is proposed, which the finding says."""
    played = evaluated(2.0, 2.0, 2.0, 2.0, 2.0).play(Plateau(patience=0, min_lr=0.04))

    assert [(c.step, c.new) for c in played.changes] == [(20, 0.05), (30, 0.04)]
    assert [p.step for p in played.proposals] == [20, 30]
    assert played.findings[-1].message == (
        "eval_loss has not improved for 2 evaluations: the best is 2; "
        "the learning rate, 0.04, is not cut further (min_lr, eps)"
    )


def test_a_cut_that_is_only_advised_is_not_counted_as_made():
    """In advise the rate stays, so the plateau goes on and each check says so, until the loss improves."""
    played = evaluated(2.0, 2.0, 2.0, 2.0, 1.0, 1.0).play(Plateau(patience=1, cooldown=3), mode="advise")

    assert [(p.step, p.change, p.verdict) for p in played.proposals] == [
        (30, "x0.5", "advised"),
        (40, "x0.5", "advised"),
    ]
    assert [f.evidence["bad"] for f in played.findings] == [2, 3]
    assert played.changes == ()


def test_a_cut_that_is_refused_is_asked_for_again():
    """The rails let three checks pass between two changes: the cut due at 50 and at 60 is refused, and made at 70."""
    played = evaluated(*[2.0] * 7).play(Plateau(patience=1), rails={"cooldown": 3})

    verdicts = [(30, "applied"), (50, "refused"), (60, "refused"), (70, "applied")]
    assert [(p.step, p.verdict) for p in played.proposals] == verdicts


@define(eq=False)
class CutsAt20:
    """Take a tenth off the rate at step 20, for a reason of its own."""

    @hookimpl
    def propose_adjustments(self, check: Check) -> Adjust | None:
        return Adjust("learning_rate", scale=0.9) if check.step == 20 else None


def test_a_cut_lasts_however_long_the_run_is_healthy():
    """After the cut at 30 twenty healthy checks go by: it stays, where a remedy at 20 is released by default at 40."""
    story = evaluated(2.0, 2.0, 2.0, *[1.9 - 0.01 * i for i in range(20)])
    played = story.play(Plateau(patience=1), rails=True)
    remedy = story.play(CutsAt20, rails=True)

    assert [(c.step, c.strategy, c.new) for c in played.changes] == [(30, "plateau", 0.05)]
    assert played.values == {"learning_rate": 0.05}
    assert [(c.step, c.strategy) for c in remedy.changes] == [(20, "cuts-at20"), (40, "steersman")]


def test_a_change_by_another_strategy_gives_patience_back():
    """Patience 1 would cut at 30; the change at 20 makes 30 and 40 the first two evaluations that count."""
    played = evaluated(2.0, 2.0, 2.0, 2.0).play(Plateau(patience=1), CutsAt20)

    assert [(c.step, c.strategy) for c in played.changes] == [(20, "cuts-at20"), (40, "plateau")]


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_counts_survive_a_resume(at):
    """Wherever the run is interrupted, in patience or in the cooldown, it cuts where the straight run does."""
    losses = [2.0] * 7
    story = evaluated(*losses[:at]).saved().resume()
    played = evaluated(*losses[at:], story=story).play(Plateau(patience=1, cooldown=2))

    # bad at 20 and 30: cut; 40 and 50 cool down; bad at 60 and 70: cut
    assert [(c.step, c.new) for c in played.changes] == [(30, 0.05), (70, 0.025)]


def test_every_evaluation_counts_where_checks_are_rarer():
    """With a check every 30 steps the two bad evaluations before it lead to a cut there."""
    assert [c.step for c in evaluated(2.0, 2.0, 2.0).play(Plateau(patience=1), check_every=30).changes] == [30]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_an_evaluation_that_is_not_finite_is_a_bad_one(broken):
    """Patience 1: 20 and 30 are bad whatever they are, and the first finite value is a best."""
    assert [c.step for c in evaluated(2.0, broken, 2.0).play(Plateau(patience=1)).changes] == [30]
    played = evaluated(broken, broken).play(Plateau(patience=1))
    assert [f.message for f in played.findings] == ["eval_loss has not improved for 2 evaluations: none was finite"]


def test_a_metric_of_training_logs_is_judged_by_its_mean_at_each_check():
    """Rewards of 1 and 3, then 0 and 4: two means of 2, and patience 0 cuts at the second check."""
    story = a_run(learning_rate=0.1).epoch(logs=2, reward=[1.0, 3.0]).epoch(logs=2, reward=[0.0, 4.0])
    played = story.play(Plateau(metric="reward", mode="max", patience=0))

    assert [c.step for c in played.changes] == [20]
    assert played.findings[0].message == "reward has not improved for 1 checks: the best is 2"


def test_two_evaluation_sets_at_one_step_are_one_evaluation():
    """Patience 1 is used up at step 30, not by the second set of step 20."""
    story = a_run(learning_rate=0.1)
    for _ in range(3):
        story = story.epoch(loss=1.0).evaluate(eval_chat_loss=2.0).evaluate(eval_code_loss=9.0)

    assert [c.step for c in story.play(Plateau(patience=1)).changes] == [30]


def test_a_metric_that_never_comes_is_named_in_the_summary():
    """Nothing is proposed, and the end of the journal names it with the nearest that came."""
    played = evaluated(2.0, 2.0).play(Plateau(metric="eval_los", patience=0))

    assert (played.proposals, played.findings) == ((), ())
    assert played.of("end")[0].data["never_came"] == {"eval_los": "eval_loss"}


def test_where_the_rate_is_not_known_the_cut_is_proposed_all_the_same():
    """A log that holds no learning rate leaves the verdict open, and nothing fails."""
    story = a_run()
    for _ in range(2):
        story = story.epoch(loss=1.0).evaluate(eval_loss=2.0)
    played = story.play(Plateau(patience=0))

    assert [(p.step, p.hyperparameter) for p in played.proposals] == [(20, "learning_rate")]
    assert played.errors == ()


@define(eq=False)
class RaisesPenalty:
    """Raise the KL penalty at step 20, after which no loss can be compared with those before."""

    @hookimpl
    def propose_adjustments(self, check: Check) -> Adjust | None:
        return Adjust("kl_penalty", scale=1.1) if check.step == 20 else None


def test_it_counts_anew_where_metrics_cannot_be_compared():
    """Without the change at 20 the loss of step 30 is the second bad one; with it, it is the first to be judged."""
    losses = 2.0, 2.1, 5.0, 4.9
    plain = evaluated(*losses, story=a_run(learning_rate=0.1, kl_penalty=0.1)).play(Plateau(patience=1))
    moved = evaluated(*losses, story=a_run(learning_rate=0.1, kl_penalty=0.1)).play(
        Plateau(patience=1), RaisesPenalty, rails={"restart_baselines": True}
    )

    assert [c.step for c in plain.changes] == [30]
    assert [c.step for c in moved.changes if c.strategy == "plateau"] == []


@define(eq=False)
class RollsBack:
    """Roll back at step 20."""

    needs_snapshots = True

    @hookimpl
    def propose_adjustments(self, check: Check) -> Rollback | None:
        return Rollback("the loss is far above its best") if check.step == 20 else None


@pytest.mark.parametrize("bounds", [{}, {"min": 0.1}])
def test_a_rollback_gives_patience_back(bounds):
    """Step 20 is of weights that were given up: 30 and 40 are the first two that count, cut or no cut beside it."""
    story = evaluated(2.0, 9.0, 2.0, 2.0)
    played = story.play(Plateau(patience=1), RollsBack, hyperparameters={"learning_rate": bounds})

    assert [entry.step for entry in played.of("rollback")] == [20]
    assert [p.step for p in played.proposals if p.strategy == "plateau"] == [40]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"factor": 1.0}, "'factor' must be < 1"),
        ({"factor": 0.0}, "'factor' must be > 0"),
        ({"patience": -1}, "'patience' must be >= 0"),
        ({"threshold": math.nan}, "'threshold' must be >= 0"),
        ({"threshold": 1.0}, "threshold must be below 1 where it is relative and mode is min, got 1"),
        ({"last_share": 1.5}, "'last_share' must be <= 1"),
        ({"min_lr": -1e-6}, "'min_lr' must be >= 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, sentence):
    """Before training starts, with what was expected."""
    with pytest.raises(ValueError, match=sentence):
        Plateau(**options)


def test_a_recorded_run():
    """Of a real run only step 2000, 0.9622 after 0.9600, is without improvement: patience 0 would have cut there."""
    path = Path(__file__).parent / "runs" / "roberta-3000.json"

    assert [(p.step, p.change) for p in play(path, Plateau(patience=0, threshold=0.0)).proposals] == [(2000, "x0.5")]
    # 1.5 thousandths below 0.9615, step 1500 is no improvement at a threshold of a hundredth; 2000 goes on from there
    played = play(path, Plateau(patience=0, threshold=0.01))
    assert [p.step for p in played.proposals] == [1500, 2000]
