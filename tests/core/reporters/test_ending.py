"""What a person reads when the run is over, from real supervised runs."""

from __future__ import annotations

from attrs import define

from steersman import LateScore, Score, hookimpl
from steersman.late.hearing import RecordedLate
from steersman.reporters.console import lines

GATE = {"require": {"safety": ">= 0.92"}}


@define(eq=False)
class Careful:
    """Scores by the loss, and rejects one below 2."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        loss = checkpoint.metrics["eval_loss"]
        return Score.reject("too good to be true") if loss < 2.0 else Score(loss)


def ended(run):
    """Return the lines of the end of a run."""
    run.supervisor.end()
    return [line for entry in run.of("end") for _, line in lines(entry)]


def test_what_is_passed_over_is_told_up_to_three_and_how_many_more(supervise):
    """Five checkpoints wait: three are named, with what they wait for, and the metric that never came."""
    run = supervise("eval-loss", config={"score": GATE})
    for step in (10, 20, 30, 40, 50):
        run.evaluate(step, eval_loss=float(step))

    assert ended(run)[:2] == [
        "no checkpoint may be best: step 10 (score 10.000000): waiting for safety; step 20 (score 20.000000): waiting "
        "for safety; step 30 (score 30.000000): waiting for safety; and 2 more",
        "the metric 'safety' was asked for and never came",
    ]


def test_a_misspelt_requirement_is_told_with_the_nearest(supervise):
    """The evaluation gives eval_safety; what the config requires is another name."""
    run = supervise("eval-loss", config={"score": {"require": {"eval_safty": "> 0"}}})
    run.evaluate(10, eval_loss=1.0, eval_safety=1.0)

    assert "the metric 'eval_safty' was asked for and never came; the nearest that came is 'eval_safety'" in ended(run)


def test_what_was_saved_and_may_not_be_best_is_not_said_to_be_unsaved(supervise, tmp_path):
    """Step 10 waits and was saved; 20 may be best and was not: nobody claims that nothing was saved."""
    run = supervise("eval-loss", config={"score": GATE})
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.saved(10, str(tmp_path))
    run.evaluate(20, eval_loss=2.0, safety=1.0)

    assert (
        "step 20 was evaluated and never saved, or is gone; no checkpoint that may be best was saved and is there"
        in ended(run)
    )


def test_a_rejected_lowest_loss(supervise):
    """The lowest eval loss was rejected: that is said, and no infinity."""
    run = supervise(Careful())
    run.evaluate(10, eval_loss=1.0)
    run.evaluate(20, eval_loss=3.0)

    assert "the lowest eval loss is another: step 10 (rejected, eval loss 1.0000)" in ended(run)


def test_late_scores_are_told_newest_first_named_once(supervise):
    """Eight metrics of one step, one of them twice: six are told, the superseded value is not."""
    heard = [LateScore(10, {"m0": 1.0}), LateScore(10, {f"m{i}": 2.0 for i in range(8)})]
    run = supervise(
        "eval-loss", config={"check_every": 10}, late=RecordedLate({(10, "scheduled"): tuple(heard)})
    )  # fmt: skip
    run.train(10, loss=1.0)
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.settle()

    [(_, line)] = [told for entry in run.of("late_heard") for told in lines(entry)]
    assert line == (
        "heard late scores: step 10 m0 2, step 10 m1 2, step 10 m2 2, step 10 m3 2, step 10 m4 2, step 10 m5 2 and 2 more"
    )
