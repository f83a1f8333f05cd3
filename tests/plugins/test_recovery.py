"""`recovery`: what it takes for a divergence, and what it leaves alone."""

from __future__ import annotations

import math

import pytest

from steersman import Check, Rollback, RolledBack, Window
from steersman.testing import a_run
from steersman_plugins.recovery import Recovery
from steersman_plugins.trends import setback


def losses_of(*losses, **more):
    """Return a run of epochs of 8 steps, each with one log."""
    story = a_run(8).lasts(10_000)
    for loss in losses:
        story = story.epoch(loss=loss, **more)
    return story


def rolls_back_at(story, **options):
    """Return the steps and reasons of the rollbacks that are proposed; each is found, in the same words."""
    played = story.play(Recovery(**options), mode="advise")  # carried out, the first would put off the next
    proposals = {p.step: p.because for p in played.proposals}
    assert {p.action for p in played.proposals} <= {"rollback"}
    assert {f.step: f.message for f in played.findings} == proposals
    assert all((f.name, f.severity) == ("diverged", "critical") for f in played.findings)
    return proposals


FALLING = [3.0, 2.6, 2.3, 2.1, 2.0, 1.95, 1.92, 1.9]
ABOVE = "the train loss is above its best by more than noise explains, at 2 checks in a row"
BOTH = "train loss and eval loss are above their best by more than noise and progress explain"


def test_a_healthy_run_is_left_alone():
    """Falling and flat losses with noise, gradients that jump, an eval loss that rises: nothing is proposed."""
    wobble = [loss + 0.02 * math.sin(3 * i) for i, loss in enumerate([*FALLING, *[1.9] * 12])]

    story = a_run(8).lasts(10_000)
    for i, loss in enumerate(wobble):
        story = story.epoch(loss=loss, grad_norm=10.0 ** (i % 3))

    assert rolls_back_at(story) == {}


@pytest.mark.parametrize(("name", "what"), [("loss", "loss"), ("grad_norm", "gradient")])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_a_divergence_at_once(name, what, value):
    """In the very step, long before the epoch's check, from the first step on."""
    story = losses_of(3.0).log(steps=3, **({"loss": 2.0, "grad_norm": 1.0} | {name: value}))

    assert rolls_back_at(story) == {11: f"the {what} was NaN or infinite"}


def test_a_train_loss_above_its_best_at_two_checks():
    """Without evaluations one check is not enough, two in a row are; the third says so again."""
    assert rolls_back_at(losses_of(*FALLING, 3.2, 3.3, 3.4)) == {80: ABOVE, 88: ABOVE}


def test_one_spike_is_no_divergence():
    """A loss that jumps at one check and is back at the next is left alone."""
    assert rolls_back_at(losses_of(*FALLING, 3.2, 1.9, 1.88, 3.2, 1.87)) == {}


@pytest.mark.parametrize(("held_out", "expected"), [(3.0, {72: BOTH}), (2.0, {})])
def test_the_eval_loss_confirms_or_denies(held_out, expected):
    """With an evaluation at the check its word is enough: above its best it is a divergence, else it is none."""
    story = a_run(8).lasts(10_000)
    for loss, held in zip([*FALLING, 3.2], [*FALLING, held_out], strict=True):
        story = story.epoch(loss=loss).evaluate(eval_loss=held + 0.1)

    assert rolls_back_at(story) == expected


def test_too_early_to_tell():
    """With three checks needed, the fourth is the first that may be above."""
    story = losses_of(3.0, 2.0, 2.8, 2.9, 3.0)

    assert rolls_back_at(story) == {}
    assert rolls_back_at(story, windows_needed=1, noise_multiple=0.0) != {}


def test_confirm_says_how_many_checks():
    """With `confirm: 1` the first check above is enough; with 3 it takes the third."""
    story = losses_of(*FALLING, 3.2, 3.3, 3.4)

    assert min(rolls_back_at(story, confirm=1)) == 72
    assert min(rolls_back_at(story, confirm=3)) == 88


def test_a_policy_gradient_loss_is_no_measure():
    """GRPO's loss may rise as it likes; what is not finite counts there too."""
    story = losses_of(*FALLING, 3.2, 3.3, reward=1.0, frac_reward_zero_std=0.0)
    assert rolls_back_at(story) == {}

    broken = story.log(steps=3, loss=math.nan, reward=1.0, frac_reward_zero_std=0.0)
    assert rolls_back_at(broken) == {83: "the loss was NaN or infinite"}


def test_the_end_of_the_run_rolls_nothing_back():
    """What is left after the last step is looked at, and no rollback is proposed."""
    assert list(rolls_back_at(losses_of(3.0).log(loss=math.nan))) == [
        9
    ]  # the check out of turn, once: not again at the end


def test_it_asks_for_snapshots():
    """The integration takes some because the strategy says that it needs them; that is no option of it."""
    assert Recovery.needs_snapshots
    with pytest.raises(TypeError):
        Recovery(needs_snapshots=False)


@pytest.mark.parametrize(
    ("values", "above", "limit"),
    [
        ((3.0, 2.0, 1.0, 2.0), 1.0, 0.24),  # no noise: 12 % of the way from 3 to 1
        ((3.0, 2.0, 1.5, 1.0, 1.2), 0.2, 0.24),
        ((1.0, 1.2, 1.0, 1.2, 1.0, 3.0), 2.0, 1.2),  # the differences are 0.2 from their middle: 6 x 0.2
    ],
)
def test_how_far_is_too_far(values, above, limit):
    """The larger of six times the noise and 12 % of the progress, by hand."""
    assert setback(values, 6.0, 0.12) == (pytest.approx(above), pytest.approx(limit))


def test_the_way_back_is_no_second_divergence():
    """After a rollback to early weights the losses are those of the way back, not above a best that is gone."""
    losses = [*FALLING, 3.2]
    windows = tuple(
        Window(10 * i, 10 * i + 10, None, {"loss": loss, "eval_loss": loss}, {}, {}, 1) for i, loss in enumerate(losses)
    )
    check = Check(90, None, "scheduled", windows[-1], windows)
    recovery = Recovery()
    assert recovery.propose_adjustments(None, check) == Rollback(BOTH)

    recovery.on_rolled_back(RolledBack(80, 10, "recovery", BOTH, 2))

    assert recovery.propose_adjustments(None, check) is None


def test_it_leaves_what_is_evaluated_to_others():
    """With `leaves_evaluated` a divergence counts only in a run without evaluations; what is not finite always does."""
    evaluated = a_run(8).lasts(10_000)
    for loss in (*FALLING, 9.0, 9.0):
        evaluated = evaluated.epoch(loss=loss).evaluate(eval_loss=loss)

    assert rolls_back_at(evaluated, leaves_evaluated=True) == {}
    assert rolls_back_at(evaluated) != {}
    assert rolls_back_at(losses_of(*FALLING, 3.2, 3.3), leaves_evaluated=True) == {80: ABOVE}
    assert rolls_back_at(evaluated.log(loss=math.nan), leaves_evaluated=True) == {81: "the loss was NaN or infinite"}
