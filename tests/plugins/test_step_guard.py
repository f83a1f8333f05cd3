"""`step-guard`: which guard it asks for, and what it finds in the counts of the logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from steersman import StepGuard
from steersman.config.structuring import structure
from steersman.hyperparameters import Entry, OnPaper
from steersman.registry import Registry
from steersman.run import HyperparameterView
from steersman.testing import a_run
from steersman_plugins.step_guard import StepGuarding


def run_with(**values: float) -> Any:
    """As much of a run as is looked at: the hyperparameters of its trainer."""
    registry = Registry(Entry(name, OnPaper(value), "live") for name, value in values.items())
    return SimpleNamespace(hyperparameters=HyperparameterView(registry))


def found_in(story, mode="act", **options):
    played = story.play(StepGuarding(**options), mode=mode)
    assert played.errors == ()
    return [(f.step, f.name, f.severity, f.message) for f in played.findings]


def test_the_guard_it_asks_for():
    """By default 3 x median clips and fades, the median in heavy tails; 50 times that or what is not finite skips."""
    nothing = run_with()
    assert StepGuarding().guard_steps(nothing) == StepGuard(
        skip_nonfinite=True, clip=None, clip_multiple=3.0, clip_deviations=0.0, skip_multiple=50.0, remembered=50,
        fade=True, tail_share=0.06, largest_move=0.1,
    )  # fmt: skip
    plain = StepGuarding(
        clip=1.0, clip_multiple=None, clip_deviations=10.0, fade=False, tail_share=None, largest_move=None
    )
    assert plain.guard_steps(nothing) == StepGuard(clip=1.0, skip_multiple=50.0)


@pytest.mark.parametrize("name", ["kl_penalty", "temperature"])
def test_gradients_of_a_policy_are_no_measure_of_each_other(name):
    """A trainer with a KL penalty or a temperature trains on rewards: only a fixed clip and what is not finite count."""
    assert StepGuarding(clip=0.5).guard_steps(run_with(**{name: 0.1})) == StepGuard(skip_nonfinite=True, clip=0.5)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"clip_multiple": 0.5}, "clip_multiple"),
        ({"remembered": 2}, "remembered"),
        ({"clip_multiple": None}, "`skip_multiple` is a multiple of a limit"),
    ],
)
def test_options_that_make_no_sense(options, told):
    """They are errors of the config, before training begins, that name the option."""
    problems: list[str] = []
    assert structure(options, StepGuarding, "$.use[0].step-guard", problems) is None
    assert told in "; ".join(problems)


def test_what_it_finds():
    """Counts of a window's logs are added up: 2 + 0 of 20 steps are no ill health, 3 + 1 critical; 4 clipped are worth telling.

    Logs of the same window cover 4 and 16 steps: a mean weighted by them would not be the sum.
    """
    story = a_run(20).lasts(10_000)
    for skipped, clipped in (((0, 0), (0, 3)), ((2, 0), (0, 0)), ((3, 1), (1, 3))):
        for steps, one, other in zip((4, 16), skipped, clipped, strict=True):
            story = story.log(steps=steps, loss=2.0, steps_skipped=float(one), steps_clipped=float(other))
    far = "not finite, or far beyond the norms before"

    assert found_in(story, clipped_share=0.2) == [
        (40, "steps-skipped", "info", f"2 of 20 steps were skipped: {far}"),
        (60, "steps-skipped", "critical", f"4 of 20 steps were skipped: {far}"),
        (60, "steps-clipped", "info", "4 of 20 steps were clipped"),
    ]
    assert found_in(story, "advise", critical_share=0.5, clipped_share=0.5) == [
        (40, "steps-skipped", "info", f"2 of 20 steps would have been skipped: {far}"),
        (60, "steps-skipped", "warning", f"4 of 20 steps would have been skipped: {far}"),
    ]
    assert found_in(story, "observe") == []


def test_logs_without_counts():
    """A run that nobody guarded, such as a plain log that is replayed, has nothing to find, and misses no metric."""
    played = a_run(8).epoch(loss=2.0).epoch(loss=1.9).play(StepGuarding())
    assert (played.findings, played.errors) == ((), ())


def test_a_log_that_began_before_the_window_is_left_out():
    """Checks every 5 steps, logs at 4 and 6: that at 6 has 2 steps, of which one is of the window, and is not counted.

    So no more steps are skipped than there are: 12 of 1 were told once.
    """
    story = a_run(5).lasts(10_000).log(steps=4, loss=2.0, steps_skipped=0.0).evaluate(eval_loss=1.0)
    story = story.log(steps=20, loss=2.0, steps_skipped=12.0).log(steps=5, loss=2.0, steps_skipped=3.0)
    for _, _, _, message in found_in(story):
        skipped, steps = message.split(" steps ")[0].split(" of ")
        assert int(skipped) <= int(steps)
    assert found_in(story)
