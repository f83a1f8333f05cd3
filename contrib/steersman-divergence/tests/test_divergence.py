"""`divergence`, told as runs and played over real logs."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from steersman_divergence import Divergence

from steersman.testing import a_run, play

RUNS = Path(__file__).parent / "runs"
QUIET = [2.0, 2.1, 1.9, 2.05, 1.95, 2.0, 2.1, 1.9, 2.05, 1.95]


def quiet(epochs=2, **metrics):
    """Return a run whose loss goes up and down around 2.0, ten logs an epoch."""
    story = a_run(learning_rate=1e-4)
    for _ in range(epochs):
        story = story.epoch(logs=10, loss=QUIET, **metrics)
    return story


def told(played):
    """Return (step, name, severity) of each finding."""
    assert played.errors == ()
    return [(found.step, found.name, found.severity) for found in played.findings]


def test_a_quiet_run_finds_nothing():
    """Noise of its own size is no alarm."""
    assert told(quiet(6).play(Divergence())) == []


def test_one_high_log_is_a_spike():
    """A loss of 6.0 among twos is a warning with its figures, at the check after it, and is told once."""
    played = quiet().epoch(logs=10, loss=[*QUIET[:4], 6.0, *QUIET[5:]]).epoch(logs=10, loss=QUIET).play(Divergence())

    assert told(played) == [(30, "loss-spike", "warning")]
    assert played.findings[0].evidence["step"] == 25
    assert played.findings[0].evidence["loss"] == 6.0


def test_a_run_that_does_not_come_back_has_diverged():
    """From step 26 on the loss is above 6: critical at that check and at the next, and no proposal is made."""
    played = (
        quiet()
        .epoch(logs=10, loss=[*QUIET[:5], 6.0, 6.5, 7.0, 6.9, 7.2])
        .epoch(logs=10, loss=[7.0 + loss / 10 for loss in QUIET])
        .play(Divergence())
    )

    assert told(played) == [(30, "loss-diverged", "critical"), (40, "loss-diverged", "critical")]
    assert [found.evidence["since"] for found in played.findings] == [26, 26]
    assert played.proposals == ()


def test_cut_proposes_a_lower_learning_rate_on_what_is_critical_only():
    """A spike proposes nothing; a divergence proposes x0.5, which is made."""
    spiked = quiet().epoch(logs=10, loss=[*QUIET[:4], 6.0, *QUIET[5:]])
    diverged = spiked.epoch(logs=10, loss=[6.0] * 10)

    assert spiked.play(Divergence(cut=0.5)).proposals == ()
    played = diverged.play(Divergence(cut=0.5))
    assert [(p.step, p.hyperparameter, p.change, p.because) for p in played.proposals] == [
        (40, "learning_rate", "x0.5", "loss-diverged")
    ]
    assert played.values["learning_rate"] == 5e-5


def test_gradients_that_spike_and_explode():
    """Norms of about 1: one of 50 is a warning, three in a row that stay are critical; twice the usual is nothing."""
    norms = [1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.2, 0.8, 1.1, 0.9]
    calm = quiet(grad_norm=norms)

    assert told(calm.epoch(logs=10, loss=QUIET, grad_norm=[*norms[:9], 2.0]).play(Divergence())) == []
    spiked = calm.epoch(logs=10, loss=QUIET, grad_norm=[*norms[:5], 50.0, *norms[6:]])
    assert told(spiked.play(Divergence())) == [(30, "gradient-spike", "warning")]
    exploded = calm.epoch(logs=10, loss=QUIET, grad_norm=[*norms[:7], 50.0, 50.0, 60.0])
    played = exploded.play(Divergence())
    assert told(played) == [(30, "gradient-explosion", "critical")]
    assert played.findings[0].evidence["grad_norm"] == pytest.approx(60.0)


def test_a_nan_loss_is_critical_at_once():
    """A check is made out of turn at the step of the NaN; the scheduled check after it tells only what came since."""
    story = quiet().log(loss=math.nan).log(loss=2.0).epoch(logs=8, loss=QUIET[:8])

    assert told(story.play(Divergence())) == [(21, "non-finite-loss", "critical")]


def test_one_nan_gradient_is_a_warning_and_two_in_a_row_are_critical():
    """Half precision skips such a step and goes on; a dead run does not."""
    once = quiet(grad_norm=1.0).log(loss=2.0, grad_norm=math.nan).log(loss=2.0, grad_norm=1.0).epoch(loss=2.0)
    twice = quiet(grad_norm=1.0).log(loss=2.0, grad_norm=math.nan).log(loss=2.0, grad_norm=math.inf).epoch(loss=2.0)

    assert told(once.play(Divergence())) == [(21, "non-finite-gradient", "warning")]
    assert told(twice.play(Divergence())) == [
        (21, "non-finite-gradient", "warning"),
        (32, "non-finite-gradient", "critical"),
    ]


def test_one_nan_evaluation_is_a_warning():
    """A run may recover from it, so it is no reason to end one."""
    played = quiet().evaluate(eval_loss=math.nan).epoch(loss=2.0).evaluate(eval_loss=2.0).play(Divergence())

    assert told(played) == [(20, "non-finite-eval-loss", "warning")]


def test_a_loss_that_falls_to_zero_without_a_gradient_norm_is_a_warning():
    """Old trainers log no gradient norm: three zeros in a row after 2.0 are all there is to see of a dead run."""
    assert told(quiet().epoch(logs=3, loss=0.0).play(Divergence())) == [(30, "zero-loss", "warning")]
    assert told(quiet().epoch(logs=2, loss=0.0).play(Divergence())) == []


GRPO = {"reward": 0.5, "frac_reward_zero_std": 0.2, "completions/mean_length": 100.0}


def test_a_zero_loss_of_grpo_is_no_alarm():
    """The loss of GRPO is 0 by construction and then beta x KL: zeros, and a rise from 0.0001 to 0.5, are healthy."""
    story = quiet(**GRPO).epoch(logs=10, loss=0.0, **GRPO).epoch(logs=10, loss=0.5, **GRPO)

    assert told(story.play(Divergence())) == []
    assert told(story.play(Divergence(loss_rules="on"))) != []


def test_a_nan_gradient_of_grpo_is_still_critical():
    """The loss says nothing there, the gradient does."""
    story = quiet(grad_norm=1.0, **GRPO).epoch(logs=10, loss=0.0, grad_norm=math.nan, **GRPO)

    assert ("masked-nan", "critical") in [found[1:] for found in told(story.play(Divergence()))]


def test_a_loss_that_falls_steeply_is_no_alarm():
    """From 10 down to 1 within a window: the limit falls with it."""
    losses = [1 + 9 * math.exp(-i / 8) + 0.02 * (-1) ** i for i in range(60)]
    story = a_run()
    for begin in range(0, 60, 10):
        story = story.epoch(logs=10, loss=losses[begin : begin + 10])

    assert told(story.play(Divergence())) == []


def noisy(factor):
    """Return a run of heavy noise with a spike and a divergence in it, its losses times `factor`."""
    draw = random.Random(7)
    losses = [2 + 2 * math.exp(-i / 30) + 0.05 * draw.gauss(0, 1) / max(draw.random(), 0.1) for i in range(120)]
    losses[70], losses[105:] = 9.0, [8 + draw.random() for _ in range(15)]
    story = a_run()
    for begin in range(0, 120, 10):
        part = [factor * loss for loss in losses[begin : begin + 10]]
        story = story.epoch(logs=10, loss=part).evaluate(eval_loss=factor)
    return story


@pytest.mark.parametrize("factor", [1000.0, 1e-6, 0.693147])
def test_the_unit_of_the_loss_changes_no_decision(factor):
    """Nats or bits, a mean or a sum: every loss times a constant gives the same findings at the same steps."""
    expected = told(noisy(1.0).play(Divergence()))

    assert {name for _, name, _ in expected} == {"loss-spike", "loss-diverged"}
    assert told(noisy(factor).play(Divergence())) == expected


def test_a_resume_changes_no_finding():
    """Interrupted inside a divergence, the run is told the same of as if it had gone on."""
    straight = quiet().epoch(logs=10, loss=[*QUIET[:8], 6.0, 6.5])
    resumed = straight.resume().epoch(logs=10, loss=7.0)

    assert told(resumed.play(Divergence())) == told(straight.epoch(logs=10, loss=7.0).play(Divergence()))


def test_metrics_that_never_come_are_named_at_the_end():
    """A run without a loss is told which metrics there was nothing to see of."""
    played = a_run().epoch(accuracy=0.5).play(Divergence())

    assert {"loss", "grad_norm"} <= set(played.of("end")[0].data["never_came"])


def test_a_dead_run_is_found():
    """749 of 750 logs of this real run are a loss of 0.0 beside a NaN gradient norm: critical at every check but one.

    The first log, 0.25 beside a NaN, is the one check that is a warning.
    """
    found = told(play(RUNS / "16831-project-01.json", Divergence()))

    assert found[0] == (500, "non-finite-gradient", "warning")
    assert len(found) > 10
    assert {item[1:] for item in found[1:]} == {("masked-nan", "critical")}


def test_one_nan_evaluation_of_a_real_run_is_a_warning():
    """This DPO run had one NaN evaluation, at step 600, and went on well."""
    assert told(play(RUNS / "llama2-7b-miniguanaco-dpo-01.json", Divergence())) == [
        (600, "non-finite-eval-loss", "warning")
    ]


@pytest.mark.parametrize("name", ["llama-factory-01", "merilion-01", "mt5-based-azerbaijani-news-s-01", "trl-01"])
def test_a_healthy_real_run_finds_nothing(name):
    """Fine-tunings and a preference training that went to their end."""
    assert told(play(RUNS / f"{name}.json", Divergence())) == []


@pytest.mark.parametrize("name", ["unslothgrpo-01", "gemma-3-rl-finetuning-01"])
def test_a_real_grpo_run_whose_loss_is_zero_finds_nothing(name):
    """These logs hold losses of exactly 0.0, and later small positive ones, all of it healthy."""
    assert told(play(RUNS / f"{name}.json", Divergence())) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"multiple": 0}, "multiple"),
        ({"needed": 3}, "needed"),
        ({"window": 10}, "window: must be at least needed"),
        ({"window": 16, "sustained": 16}, "window: must be above sustained"),
        ({"sustained": 1}, "sustained"),
        ({"least_share": 1.0}, "least_share"),
        ({"cut": 1.5}, "cut"),
        ({"cut_least": 0.0}, "cut_least"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, expected):
    """Each says which option is wrong and what is expected."""
    with pytest.raises(ValueError, match=expected):
        Divergence(**options)
