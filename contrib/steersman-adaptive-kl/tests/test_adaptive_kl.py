"""`adaptive-kl`: the paper's controller with numbers by hand, and when it keeps still."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from attrs import define
from steersman_adaptive_kl import AdaptiveKL
from steersman_adaptive_kl.controller import bounds, multiplier, relative_error

from steersman import Adjust, hookimpl
from steersman.config import read
from steersman.config.structuring import structure
from steersman.testing import a_run, play

RUN = Path(__file__).parent / "runs" / "gemma-3-rl-finetuning-01.json"
NAME = "kl_penalty"


@define(eq=False)
class Rival:
    """Proposes a change of the penalty at every check."""

    scale: float = 1.05

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust(NAME, scale=self.scale, because="a rival says so")


@pytest.mark.parametrize(
    ("kl", "target", "expected"), [(0.075, 0.05, 0.5), (0.025, 0.05, -0.5), (6.0, 6.0, 0.0), (0.0, 6.0, -1.0)]
)
def test_the_error_is_relative_to_the_target(kl, target, expected):
    """Half above the target is 0.5, half below it -0.5, whatever the unit."""
    assert relative_error(kl, target) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("error", "updates", "expected"),
    [
        (0.1, 1, 1.01),  # 1 + 0.1 x 0.1
        (0.2, 1, 1.02),
        (5.0, 1, 1.02),  # the error is clipped to 0.2
        (-5.0, 1, 0.98),
        (0.1, 3, 1.030301),  # 1.01 ^ 3
        (-0.2, 10, 0.817073),  # 0.98 ^ 10
        (0.2, 20, 1.25),  # 1.02 ^ 20 = 1.486 is kept within the largest change
        (-0.2, 20, 0.8),  # 0.98 ^ 20 = 0.668, and 1 / 1.25 = 0.8
        (0.2, 10**9, 1.25),
        (math.inf, 1, 1.02),
    ],
)
def test_updates_compound_within_the_largest_change(error, updates, expected):
    """beta x (1 + K e)^n, the error clipped as in the paper, and as many steps up as down lead back."""
    found = multiplier(error, gain=0.1, clip=0.2, updates=updates, largest_change=0.25)
    assert found == pytest.approx(expected, rel=1e-6)


def test_bounds_are_the_given_ones_else_a_tenth_and_ten_times_the_users_own():
    """A penalty of 0.06 after a factor of 1.5 was 0.04 at first: 0.004 to 0.4, or what the options say."""
    assert bounds(0.06, 1.5, at_least=None, at_most=None, reach=10.0) == pytest.approx((0.004, 0.4))
    assert bounds(0.06, 1.5, at_least=0.01, at_most=0.1, reach=10.0) == (0.01, 0.1)


def test_a_kl_above_its_target_raises_the_penalty():
    """An epoch of 10 steps at 20 % above the target: 0.04 x 1.02^10."""
    found = a_run(steps_per_epoch=10, kl_penalty=0.04).epoch(kl=0.06).play(AdaptiveKL(target=0.05))
    (change,) = found.changes
    assert change.new == pytest.approx(0.04 * 1.2189944)
    assert (change.hyperparameter, change.step) == (NAME, 10)
    assert change.because == "kl 0.06 is 20% above its target 0.05"


def test_a_kl_below_its_target_that_rises_no_more_lowers_the_penalty():
    """Twice the same KL at half the target: the second check multiplies by 0.98^10."""
    found = a_run(kl_penalty=0.04).epoch(kl=0.025).epoch(kl=0.025).play(AdaptiveKL(target=0.05))
    assert [(c.step, c.new) for c in found.changes] == [(20, pytest.approx(0.04 * 0.817073, rel=1e-6))]


def test_a_kl_on_its_way_up_from_zero_lowers_nothing():
    """A policy leaves its reference model at KL 0: only a KL that stays where it is lowers the penalty."""
    story = a_run(kl_penalty=0.04).epoch(kl=0.0).epoch(kl=0.001).epoch(kl=0.01).epoch(kl=0.03)
    assert story.play(AdaptiveKL(target=0.05)).proposals == ()
    assert [p.step for p in story.epoch(kl=0.03).play(AdaptiveKL(target=0.05)).proposals] == [50]


def test_the_paper_lowers_while_the_kl_rises_too():
    """With `lower_while_rising` every check below the target lowers the penalty, the first included."""
    story = a_run(kl_penalty=0.04).epoch(kl=0.0).epoch(kl=0.001).epoch(kl=0.01)
    found = story.play(AdaptiveKL(target=0.05, lower_while_rising=True))
    assert [p.change for p in found.proposals] == ["x0.817073"] * 3


@pytest.mark.parametrize("kl", [0.046, 0.05, 0.0549])
def test_noise_inside_the_deadband_spends_no_change(kl):
    """Within 10 % of the target nothing is proposed."""
    assert a_run(kl_penalty=0.04).epoch(kl=0.05).epoch(kl=kl).play(AdaptiveKL(target=0.05)).proposals == ()


def test_the_mean_of_the_window_counts_and_not_its_last_value():
    """Logs of 0.08, 0.04 and 0.03 are 0.05 on average: on target, whatever the last one is."""
    story = a_run(steps_per_epoch=9, kl_penalty=0.04).epoch(logs=3, kl=[0.08, 0.04, 0.03])
    assert story.play(AdaptiveKL(target=0.05)).proposals == ()


def test_steps_per_update_tells_how_many_updates_a_window_holds():
    """Ten steps at five a generation are two updates: 1.02^2; fewer steps than an update are one."""
    story = a_run(steps_per_epoch=10, kl_penalty=0.04).epoch(kl=0.06)
    assert story.play(AdaptiveKL(target=0.05, steps_per_update=5)).changes[0].new == pytest.approx(0.04 * 1.0404)
    assert story.play(AdaptiveKL(target=0.05, steps_per_update=64)).changes[0].new == pytest.approx(0.04 * 1.02)


def test_the_penalty_stays_within_its_bounds():
    """Where the KL never comes down the penalty ends at `at_most`, and at ten times the user's own without it."""
    story = a_run(kl_penalty=0.04)
    for _ in range(20):
        story = story.epoch(kl=1.0)
    assert story.play(AdaptiveKL(target=0.05, at_most=0.06)).values == {NAME: pytest.approx(0.06)}
    found = story.play(AdaptiveKL(target=0.05))
    assert found.values == {NAME: pytest.approx(0.4)}
    assert found.proposals[-1].verdict == "refused"


def test_baselines_that_begin_anew_after_a_change_leave_the_controller_its_window():
    """With the rails on, a change of the penalty drops the windows before it; the next window steers all the same."""
    story = a_run(kl_penalty=0.04).epoch(kl=0.06).epoch(kl=0.06)
    found = story.play(AdaptiveKL(target=0.05), rails={"cooldown": 0})
    assert [c.step for c in found.changes] == [10, 20]
    assert len(found.of("restart")) == 2


def test_a_resumed_run_goes_on_from_its_own_penalty_and_memory():
    """Interrupted after each epoch, the run makes the changes of the run in one go, its bounds those of the start."""
    straight = broken = a_run(kl_penalty=0.04)
    for kl in (0.2, 0.2, 0.02, 0.02, 0.02, 0.3):
        straight, broken = straight.epoch(kl=kl), broken.epoch(kl=kl).resume()
    first, second = straight.play(AdaptiveKL(target=0.05)), broken.play(AdaptiveKL(target=0.05))
    assert [(c.step, c.new) for c in first.changes] == [(c.step, c.new) for c in second.changes]
    assert [c.step for c in first.changes] == [10, 20, 30, 40, 50, 60]
    assert second.errors == ()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({NAME: 0.0}, "kl_penalty is 0, and only one above 0 can be steered, so nothing is proposed"),
        ({}, "kl_penalty is unsupported here, so nothing is proposed"),
        ({NAME: math.nan}, "the value of kl_penalty is not known here, so nothing is proposed"),
    ],
)
def test_a_penalty_that_cannot_be_steered_is_said_once(values, says):
    """At 0, missing or NaN: one info finding over three checks and a resume, and no proposal."""
    story = a_run(**values).epoch(kl=0.5).epoch(kl=0.5).resume().epoch(kl=0.5)
    found = story.play(AdaptiveKL(target=0.05))
    assert [(f.name, f.severity, f.message) for f in found.findings] == [("kl-penalty-fixed", "info", says)]
    assert found.proposals == ()


def test_a_run_without_kl_asks_for_it():
    """Where no KL is ever logged nothing is proposed, and the summary names the metric that never came."""
    found = a_run(kl_penalty=0.04).epoch(loss=1.0, reward=0.2).epoch(loss=1.0).play(AdaptiveKL(target=0.05))
    assert found.proposals == () and found.findings == ()
    (end,) = found.of("end")
    assert "kl" in end.data["never_came"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_window_with_a_kl_that_is_not_finite_steers_nothing(bad):
    """One infinite KL among low ones must not lower the penalty: the mean leaves out just the worst of all."""
    story = a_run(kl_penalty=0.04).epoch(kl=0.01).epoch(logs=2, kl=[0.01, bad])
    found = story.play(AdaptiveKL(target=0.05))
    assert found.proposals == ()
    assert [(f.step, f.name, f.severity) for f in found.findings] == [(20, "kl-not-finite", "warning")]


def test_a_kl_below_zero_steers_nothing():
    """A mean below 0 is the sign of samples that are not the policy's; lowering the penalty would feed it."""
    found = a_run(kl_penalty=0.04).epoch(kl=-0.1).epoch(kl=-0.1).play(AdaptiveKL(target=0.05))
    assert found.proposals == ()
    assert [f.name for f in found.findings] == ["kl-negative", "kl-negative"]


def test_another_metric_may_be_the_kl():
    """PPO of TRL logs `objective/kl`."""
    story = a_run(kl_penalty=0.04).epoch(**{"objective/kl": 12.0})
    assert len(story.play(AdaptiveKL(target=6.0, metric="objective/kl")).changes) == 1


def test_of_two_proposals_the_safer_one_wins():
    """A rival that raises the penalty by less loses; one that raises it by more wins."""
    story = a_run(kl_penalty=0.04).epoch(kl=0.06)
    for scale, new in ((1.05, 0.04 * 1.2189944), (1.5, 0.06)):
        found = story.play(AdaptiveKL(target=0.05), Rival(scale))
        assert [c.new for c in found.changes] == [pytest.approx(new)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target": 0.0}, "target must be a number above 0, got 0.0"),
        ({"target": math.nan}, "target must be a number above 0, got nan"),
        ({"target": 1.0, "gain": 2.0}, "gain"),
        ({"target": 1.0, "clip": 1.0}, "clip"),
        ({"target": 1.0, "largest_change": 0.0}, "largest_change must be a number above 0, got 0.0"),
        ({"target": 1.0, "deadband": -0.1}, "deadband"),
        ({"target": 1.0, "steps_per_update": 0}, "steps_per_update"),
        ({"target": 1.0, "metric": ""}, "metric"),
        (
            {"target": 1.0, "at_least": 0.5, "at_most": 0.1},
            "at_least 0.5 is above at_most 0.1; expected it at or below",
        ),
    ],
)
def test_a_wrong_option_is_refused_with_its_name(options, says):
    """What cannot be is refused before training starts, in a sentence that names the option."""
    with pytest.raises(ValueError, match=says):
        AdaptiveKL(**options)


def test_a_real_run_whose_kl_climbs_from_zero_is_left_alone_until_it_arrives():
    """25 logs of a real GRPO run, a check each: the KL climbs to 0.0687 at step 130, a rise above the target of 0.03;
    the windows before that fell below an earlier one are the only ones that lower the penalty, and what is above the
    target by more than 10 % raises it."""
    found = play(RUN, AdaptiveKL(target=0.03), values={NAME: 0.04}, mode="act", check_every=10)
    assert found.errors == ()
    raised = [p.step for p in found.proposals if float(p.change[1:]) > 1]
    lowered = [p.step for p in found.proposals if float(p.change[1:]) < 1]
    assert raised == [130]
    assert lowered[:2] == [80, 100]
    assert found.values[NAME] >= 0.004


def readme_config():
    """Return the YAML of the README as it is written."""
    return yaml.safe_load((Path(__file__).parents[1] / "README.md").read_text().split("```yaml\n")[1].split("```")[0])


def on_target(story):
    """Return the story with twenty healthy checks on target behind it."""
    for _ in range(20):
        story = story.epoch(kl=0.05, loss=1.0)
    return story


def test_the_readme_config_reads():
    """The YAML of the README is a config without a fault, and its options are this strategy's."""
    problems: list[str] = []
    (used,) = read(readme_config(), problems).use
    assert used.target == "adaptive-kl"
    assert structure(used.options, AdaptiveKL, "$", problems) is not None and problems == []


def test_a_raise_lasts_however_long_the_run_is_healthy():
    """Raised once by 1.02^10 and on target ever after: by default a remedy is released after two healthy checks, and
    after twenty the penalty of the controller is still up."""
    found = on_target(a_run(kl_penalty=0.04).epoch(kl=0.06, loss=1.0)).play(AdaptiveKL(target=0.05), rails=True)
    assert [(c.step, c.strategy) for c in found.changes] == [(10, "adaptive-kl")]
    assert found.values == {NAME: pytest.approx(0.0487598)}


def test_a_lowering_is_a_risk_that_the_outcomes_of_the_readme_let_stand():
    """Lowered by 0.98^10 and on target ever after: three checks later Steersman takes it back; the README says how
    not to."""
    story = on_target(a_run(kl_penalty=0.04).epoch(kl=0.025, loss=1.0).epoch(kl=0.025, loss=1.0))
    by_default = story.play(AdaptiveKL(target=0.05), rails=True)
    assert [(c.step, c.strategy) for c in by_default.changes] == [(20, "adaptive-kl"), (50, "steersman")]
    assert by_default.values == {NAME: pytest.approx(0.04)}
    kept = story.play(AdaptiveKL(target=0.05), rails=True, outcomes=readme_config()["outcomes"])
    assert [(c.step, c.strategy) for c in kept.changes] == [(20, "adaptive-kl")]
    assert kept.values == {NAME: pytest.approx(0.0326829)}
