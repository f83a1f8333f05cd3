"""`layerwise-lr`: trust ratios by hand, and what the strategy makes of logged norms."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from attrs import define
from steersman_layerwise_lr import LayerwiseLR
from steersman_layerwise_lr.trust import Norms, step_towards, trust_ratios, wanted_factors

from steersman import Adjust, hookimpl
from steersman.config import read
from steersman.config.structuring import structure
from steersman.testing import a_run

A, B = "learning_rate[a]", "learning_rate[b]"


@define(eq=False)
class Cut:
    """Halves the rate of all groups at every check."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust("learning_rate", scale=0.5, because="a test says so")


def logged(**groups):
    """Return the metrics of groups given as (weight norm, gradient norm) or (..., update norm)."""
    kinds = ("weight_norm", "grad_norm", "update_norm")
    return {f"{kind}/{name}": v for name, values in groups.items() for kind, v in zip(kinds, values, strict=False)}


def run(**rates):
    """Return the story of a run with these groups at 0.01, unless given."""
    return a_run(**{"learning_rate": 0.01, A: 0.01, B: 0.01, **rates})


def test_the_trust_ratio_is_weight_norm_over_step_norm():
    """6 over 2 is 3; a group with a norm of 0 has no ratio, for it would never leave 0."""
    norms = {"a": Norms(6.0, 2.0), "fresh": Norms(0.0, 2.0), "frozen": Norms(6.0, 0.0)}
    assert trust_ratios(norms) == {"a": 3.0}


def test_factors_are_relative_to_the_median_group_in_logarithms():
    """Ratios 4 and 1 have their middle at 2, so the factors are 2 and a half; of 9, 3 and 2 the middle is 3."""
    two = wanted_factors({"a": Norms(4.0, 1.0), "b": Norms(1.0, 1.0)}, 0.1, 10.0)
    assert two == {"a": pytest.approx(2.0), "b": pytest.approx(0.5)}
    three = wanted_factors({"a": Norms(9.0, 1.0), "b": Norms(3.0, 1.0), "c": Norms(2.0, 1.0)}, 0.1, 10.0)
    assert three == {"a": pytest.approx(3.0), "b": pytest.approx(1.0), "c": pytest.approx(2 / 3)}


def test_what_multiplies_every_gradient_alike_cancels_out():
    """A loss scale of 65536 on every gradient leaves the factors as they are."""
    plain = {"a": Norms(4.0, 1.0), "b": Norms(1.0, 2.0)}
    scaled = {"a": Norms(4.0, 65536.0), "b": Norms(1.0, 131072.0)}
    assert wanted_factors(plain, 0.1, 10.0) == pytest.approx(wanted_factors(scaled, 0.1, 10.0))


def test_factors_are_bounded():
    """Ratios 100 and 0.01 want factors of 100 and 0.01, and get the bounds."""
    found = wanted_factors({"a": Norms(100.0, 1.0), "b": Norms(0.01, 1.0)}, 0.5, 2.0)
    assert found == {"a": pytest.approx(2.0), "b": pytest.approx(0.5)}


@pytest.mark.parametrize("norms", [{}, {"a": Norms(4.0, 1.0)}, {"a": Norms(4.0, 1.0), "b": Norms(0.0, 1.0)}])
def test_fewer_than_two_groups_with_a_ratio_have_no_factor(norms):
    """A median of one group is itself, so there is nothing to say."""
    assert wanted_factors(norms, 0.5, 2.0) == {}


@pytest.mark.parametrize(
    ("wanted", "factor", "expected"),
    [
        (2.0, 1.0, 1.1),  # a tenth at a time
        (0.5, 1.0, 1 / 1.1),
        (1.5, 1.3, 1.1),  # 1.154 away
        (2.0, 1.9, None),  # 1.053 away is within the deadband
        (1.0, 1.0999, None),  # just inside it
        (1.0, 1.1001, 1 / 1.1),  # just beyond it
        (0.5, 4.0, 1 / 1.1),  # from beyond the bounds back inside
    ],
)
def test_a_factor_moves_gradually_and_stops_near_what_is_wanted(wanted, factor, expected):
    """At most 1.1 up or its inverse down, and nothing within 1.1 of the goal."""
    found = step_towards(wanted, factor, largest_change=0.1, deadband=0.1)
    assert found == (None if expected is None else pytest.approx(expected))


def test_groups_move_apart_by_a_tenth_a_check_and_stop_at_their_bounds():
    """Ratios 10 and 0.1 want factors of 2 and a half; 1.1^7 = 1.949 is near enough, and seven changes a group."""
    story = run()
    for _ in range(12):
        story = story.epoch(**logged(a=(10.0, 1.0), b=(0.1, 1.0)))
    found = story.play(LayerwiseLR())
    assert found.values[A] == pytest.approx(0.01 * 1.1**7)
    assert found.values[B] == pytest.approx(0.01 / 1.1**7)
    assert found.values["learning_rate"] == 0.01
    assert len(found.changes) == 14
    assert found.changes[0].because == "weight norm 10 to 1: factor 1 towards 2"


def test_the_update_norm_counts_where_every_group_has_one():
    """By gradients a and b differ by 100; by the updates they are alike, so nothing moves unless asked for."""
    story = run().epoch(**logged(a=(1.0, 0.1, 1.0), b=(1.0, 10.0, 1.0)))
    assert story.play(LayerwiseLR()).proposals == ()
    assert story.play(LayerwiseLR(ratio="update")).proposals == ()
    found = story.play(LayerwiseLR(ratio="gradient"))
    assert [(p.hyperparameter, p.change) for p in found.proposals] == [(A, "x1.1"), (B, "x0.909091")]


def test_gradients_count_where_only_some_groups_have_an_update_norm():
    """An update norm is not compared with a gradient norm: 1 to 0.1 and 1 to 10 move apart."""
    story = run().epoch(**logged(a=(1.0, 0.1, 1.0), b=(1.0, 10.0)))
    assert [p.change for p in story.play(LayerwiseLR()).proposals] == ["x1.1", "x0.909091"]


def test_the_means_of_the_window_count():
    """Gradient norms of 1 and 7 are 4 on average, as those of the other group: nothing moves."""
    story = run().epoch(
        logs=2, **{"weight_norm/a": 1.0, "grad_norm/a": [1.0, 7.0], "weight_norm/b": 1.0, "grad_norm/b": [4.0, 4.0]}
    )
    assert story.play(LayerwiseLR()).proposals == ()


def test_only_the_named_groups_take_part():
    """With a and b named, a third group with an extreme ratio neither moves nor shifts the median."""
    story = run(**{"learning_rate[bias]": 0.01}).epoch(**logged(a=(4.0, 1.0), b=(1.0, 1.0), bias=(1e-6, 1.0)))
    found = story.play(LayerwiseLR(groups=("a", "b")))
    assert {p.hyperparameter for p in found.proposals} == {A, B}


def test_weights_that_begin_at_zero_are_left_alone():
    """LoRA's B and biases begin at 0: the group without weight keeps its factor, the others are compared."""
    story = run(**{"learning_rate[fresh]": 0.01}).epoch(**logged(a=(4.0, 1.0), b=(1.0, 1.0), fresh=(0.0, 1.0)))
    found = story.play(LayerwiseLR())
    assert {p.hyperparameter for p in found.proposals} == {A, B} and found.errors == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_moves_nothing(bad):
    """An overflow in one group leaves one group to compare, so nothing moves, and it is said once."""
    found = run().epoch(**logged(a=(4.0, bad), b=(1.0, 1.0))).play(LayerwiseLR())
    assert found.proposals == () and found.errors == ()
    assert [f.name for f in found.findings] == ["too-few-groups"]


@pytest.mark.parametrize(
    ("metrics", "has", "asked"),
    [
        ({"loss": 1.0}, "no parameter group has norms", "weight_norm/a"),
        (logged(a=(1.0, 1.0)), "only a has norms", "grad_norm/b"),
    ],
)
def test_too_few_groups_are_said_once_and_asked_for(metrics, has, asked):
    """Three checks and a resume: one info finding, no proposal, and the summary names the norms that never came."""
    story = run().epoch(**metrics).epoch(**metrics).resume().epoch(**metrics)
    found = story.play(LayerwiseLR())
    (said,) = found.findings
    assert (said.name, said.severity) == ("too-few-groups", "info")
    assert said.message.startswith(f"{has} in the log and factors need two")
    assert found.proposals == ()
    assert asked in found.of("end")[0].data["never_came"]


def test_a_resumed_run_moves_its_factors_on():
    """Interrupted after each check, the factors are those of the run in one go."""
    straight = broken = run()
    for _ in range(4):
        metrics = logged(a=(10.0, 1.0), b=(0.1, 1.0))
        straight, broken = straight.epoch(**metrics), broken.epoch(**metrics).resume()
    assert broken.play(LayerwiseLR()).values == straight.play(LayerwiseLR()).values
    assert straight.play(LayerwiseLR()).values[A] == pytest.approx(0.01 * 1.1**4)


def test_a_change_of_the_rate_of_all_groups_wins():
    """A cut of `learning_rate` at the same check refuses the changes of single groups: changes do not stack."""
    found = run().epoch(**logged(a=(4.0, 1.0), b=(1.0, 1.0))).play(Cut(), LayerwiseLR())
    assert [c.hyperparameter for c in found.changes] == ["learning_rate"]
    assert [p.verdict for p in found.proposals[1:]] == ["lost", "lost"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_factor": 0.0}, "min_factor must be a number above 0 and at most 1, got 0.0"),
        ({"min_factor": 1.5}, "min_factor must be a number above 0 and at most 1, got 1.5"),
        ({"max_factor": 0.5}, "max_factor"),
        ({"max_factor": math.inf}, "max_factor must be a number above 0, got inf"),
        ({"largest_change": math.nan}, "largest_change must be a number above 0, got nan"),
        ({"deadband": -1.0}, "deadband"),
        ({"groups": ("a",)}, "groups names only 'a'; expected at least two, or none for all"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name(options, says):
    """What cannot be is refused before training starts, in a sentence that names the option."""
    with pytest.raises(ValueError, match=says):
        LayerwiseLR(**options)


def readme_config():
    """Return the YAML of the README as it is written."""
    return yaml.safe_load((Path(__file__).parents[1] / "README.md").read_text().split("```yaml\n")[1].split("```")[0])


def healthy(epochs):
    """Return a run in health with ratios of 4 and 1, which want factors above and below 1."""
    story = run()
    for _ in range(epochs):
        story = story.epoch(loss=1.0, **logged(a=(4.0, 1.0), b=(1.0, 1.0)))
    return story


def test_a_lowered_rate_lasts_however_long_the_run_is_healthy():
    """By default a remedy is released after two healthy checks; after twenty the rate of b is still a tenth lower."""
    found = healthy(20).play(LayerwiseLR(min_factor=0.9, max_factor=1.0), rails=True)
    assert [(c.step, c.strategy, c.hyperparameter) for c in found.changes] == [(10, "layerwise-lr", B)]
    assert found.values[B] == pytest.approx(0.01 / 1.1)
    assert found.values[A] == 0.01


def test_a_raised_rate_is_a_risk_that_the_outcomes_of_the_readme_let_stand():
    """Three checks after the raise Steersman takes it back, as the loss is no better; the README says how not to."""
    options = {"min_factor": 1.0, "max_factor": 1.1}
    by_default = healthy(4).play(LayerwiseLR(**options), rails=True)
    assert [(c.step, c.strategy) for c in by_default.changes] == [(10, "layerwise-lr"), (40, "steersman")]
    assert by_default.values[A] == pytest.approx(0.01)
    kept = healthy(20).play(LayerwiseLR(**options), rails=True, outcomes=readme_config()["outcomes"])
    assert [(c.step, c.strategy) for c in kept.changes] == [(10, "layerwise-lr")]
    assert kept.values[A] == pytest.approx(0.011)


def test_the_readme_config_reads():
    """The YAML of the README is a config without a fault, and its options are this strategy's."""
    problems: list[str] = []
    (used,) = read(readme_config(), problems).use
    assert used.target == "layerwise-lr"
    assert structure(used.options, LayerwiseLR, "$", problems) is not None and problems == []
