"""`noise-aware`, told as runs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from steersman_noise_aware import NoiseAware

from steersman.testing import a_run, play

RUNS = Path(__file__).parent / "runs"


def test_a_logged_standard_error_makes_ties_and_the_second_metric_decides():
    """Loss 1.98 +- 0.05 ties with 2.00; its accuracy is higher, so it is best although 1.97 was lower yet."""
    story = (
        a_run()
        .epoch(loss=2.1).evaluate(eval_loss=2.00, eval_accuracy=0.60, eval_loss_stderr=0.05)
        .epoch(loss=2.0).evaluate(eval_loss=1.98, eval_accuracy=0.70, eval_loss_stderr=0.05)
        .epoch(loss=1.9).evaluate(eval_loss=1.97, eval_accuracy=0.65, eval_loss_stderr=0.05)
    )  # fmt: skip

    played = story.play(NoiseAware(stderr_metric="eval_loss_stderr"))

    assert played.best.step == 20
    assert sorted(played.scores, key=played.scores.get) == [20, 30, 10]
    assert played.errors == ()


def test_what_is_significantly_better_wins_whatever_the_second_metric_says():
    """Loss 1.90 is two standard errors below 2.00: best, although its accuracy is the worst."""
    story = (
        a_run()
        .epoch(loss=2.1).evaluate(eval_loss=2.00, eval_accuracy=0.90, eval_loss_stderr=0.05)
        .epoch(loss=2.0).evaluate(eval_loss=1.90, eval_accuracy=0.10, eval_loss_stderr=0.05)
        .epoch(loss=1.9).evaluate(eval_loss=2.20, eval_accuracy=0.99, eval_loss_stderr=0.05)
    )  # fmt: skip

    played = story.play(NoiseAware(stderr_metric="eval_loss_stderr"))

    assert played.scores == {10: 2.0, 20: 1.9, 30: 2.2}


def test_the_standard_error_comes_from_a_standard_deviation_and_the_examples():
    """A deviation of 1.0 over 400 examples is an error of 0.05: 1.96 ties and loses, over 10000 (0.01) it wins."""
    story = (
        a_run()
        .epoch(loss=2.1).evaluate(eval_loss=2.00, eval_accuracy=0.7, eval_std=1.0)
        .epoch(loss=2.0).evaluate(eval_loss=1.96, eval_accuracy=0.6, eval_std=1.0)
    )  # fmt: skip

    assert story.play(NoiseAware(std_metric="eval_std", examples=400)).best.step == 10
    assert story.play(NoiseAware(std_metric="eval_std", examples=10000)).best.step == 20


def test_directions_are_options():
    """By accuracy (higher) with an error of 0.05, 0.80 and 0.82 tie, and the lower loss of the first wins."""
    story = (
        a_run()
        .epoch(loss=2.1).evaluate(eval_loss=1.0, eval_accuracy=0.80, eval_error=0.05)
        .epoch(loss=2.0).evaluate(eval_loss=1.5, eval_accuracy=0.82, eval_error=0.05)
    )  # fmt: skip
    options = {"metric": "eval_accuracy", "direction": "higher", "second": "eval_loss", "second_direction": "lower"}

    played = story.play(NoiseAware(**options, stderr_metric="eval_error"))

    assert played.scores[10] == -0.80
    assert played.best.step == 10


def noisy(losses, accuracies):
    """Return a run with these evaluations, one an epoch."""
    story = a_run()
    for loss, accuracy in zip(losses, accuracies, strict=True):
        story = story.epoch(loss=2.0).evaluate(eval_loss=loss, eval_accuracy=accuracy)
    return story


def test_the_estimate_needs_six_evaluations_and_then_makes_ties():
    """Losses go up and down by 0.1 (differences of 0.1 about 0, an estimated error of 0.105): only the sixth ties.

    The fifth, as near to the reference and with as high an accuracy, scores its own value.
    """
    story = noisy([2.0, 2.1, 2.0, 2.1, 2.05, 2.05], [0.5, 0.5, 0.5, 0.5, 0.9, 0.9])

    scores = story.play(NoiseAware()).scores

    assert [scores[step] for step in (10, 20, 30, 40, 50)] == [2.0, 2.1, 2.0, 2.1, 2.05]
    assert scores[60] < 2.0


def test_a_score_names_the_tie():
    """The journal holds the reference, the standard error and which metric decided, as a sentence and as summands."""
    story = (
        a_run()
        .epoch(loss=2.1).evaluate(eval_loss=2.00, eval_accuracy=0.60, eval_loss_stderr=0.05)
        .epoch(loss=2.0).evaluate(eval_loss=1.98, eval_accuracy=0.70, eval_loss_stderr=0.05)
    )  # fmt: skip

    tied = story.play(NoiseAware(stderr_metric="eval_loss_stderr")).of("score")[1].data

    assert tied["because"] == (
        "tied: eval_loss is 0.02 from that of step 10, within its standard error of 0.05; eval_accuracy decides"
    )
    assert tied["terms"]["eval_loss"] == 2.0
    assert sum(tied["terms"].values()) == pytest.approx(tied["value"])


@pytest.mark.parametrize("bad", [{"eval_loss": math.nan}, {"eval_accuracy": math.inf}, {"eval_loss_stderr": -0.1}])
def test_what_is_not_finite_has_no_opinion_and_does_not_become_the_reference(bad):
    """A NaN loss, an infinite accuracy or a negative error leaves the evaluation unscored; the next is scored."""
    good = {"eval_loss": 2.0, "eval_accuracy": 0.6, "eval_loss_stderr": 0.05}
    story = a_run().epoch(loss=2.1).evaluate(**(good | bad)).epoch(loss=2.0).evaluate(**good)

    played = story.play(NoiseAware(stderr_metric="eval_loss_stderr"))

    assert played.scores == {20: 2.0}
    assert played.errors == ()


def test_a_metric_that_never_comes_is_named_at_the_end():
    """Without an accuracy there is no score, and the summary says which metric was asked for."""
    played = a_run().epoch(loss=2.1).evaluate(eval_loss=2.0, eval_f1=0.5).play(NoiseAware())

    assert played.scores == {}
    assert "eval_accuracy" in str(played.of("end")[0].data["never_came"])


def test_the_baseline_is_no_reference():
    """The evaluation at step 0 can never be best, so one that is not better than it is not held against it."""
    story = (
        a_run()
        .evaluate(eval_loss=1.00, eval_accuracy=0.9, eval_loss_stderr=0.05)
        .epoch(loss=2.1).evaluate(eval_loss=2.00, eval_accuracy=0.6, eval_loss_stderr=0.05)
        .epoch(loss=2.0).evaluate(eval_loss=2.04, eval_accuracy=0.7, eval_loss_stderr=0.05)
    )  # fmt: skip

    played = story.play(NoiseAware(stderr_metric="eval_loss_stderr"))

    assert played.best.step == 20


def test_a_resume_changes_no_score():
    """Reference, ceiling and estimate survive: the straight and the resumed run give the same scores."""
    losses = [2.0, 2.1, 2.0, 2.1, 2.05, 2.05, 1.5, 1.52, 1.48, 1.6]
    accuracies = [0.5, 0.6, 0.4, 0.5, 0.9, 0.8, 0.6, 0.7, 0.5, 0.9]
    straight, resumed = noisy(losses, accuracies), a_run()
    for i, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
        resumed = resumed.epoch(loss=2.0).evaluate(eval_loss=loss, eval_accuracy=accuracy)
        resumed = resumed.resume() if i in (2, 5, 7) else resumed

    assert resumed.play(NoiseAware()).scores == straight.play(NoiseAware()).scores


def test_a_real_run():
    """From step 24273 on all losses of this run tie, and the most accurate of them (F1 0.1974) is best.

    The lowest loss is that of the last step, 53940, by 0.00004; its F1 score is lower.
    """
    strategy = NoiseAware(second="eval_macro-avg-f1score")

    played = play(RUNS / "semeval23-human-values-detec-06.json", strategy)

    assert played.best.step == 51243
    assert played.of("end")[0].data["lowest_eval_loss"]["step"] == 53940
    assert len(played.scores) == 20
    assert strategy.reference["step"] == 24273
    assert played.errors == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"second": "eval_loss"}, "second: expected a metric other than 'eval_loss'"),
        ({"examples": 100}, "std_metric: is expected too"),
        ({"std_metric": "eval_std"}, "examples: is expected too"),
        ({"std_metric": "a", "examples": 9, "stderr_metric": "b"}, "stderr_metric: expected either"),
        ({"evaluations_needed": 3}, "evaluations_needed"),
        ({"window": 5}, "window: must be at least evaluations_needed"),
        ({"std_metric": "a", "examples": 1}, "examples"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, expected):
    """Each says which option is wrong and what is expected."""
    with pytest.raises(ValueError, match=expected):
        NoiseAware(**options)
