"""The rails: what keeps a change from being made, when, and what of it is shortened."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st

from steersman import Adjust, RunPlan, hookimpl
from steersman.arbiter import arbitrate
from steersman.hyperparameters import SAFER, Entry, OnPaper
from steersman.rails import Bounds, Limits, Made, Offer, Rails, Standing
from steersman.registry import Registry

PLAN = RunPlan(100, warmup_steps=10)
RATE = Rails("act", {"learning_rate": Bounds()}, plan=PLAN, step=50)


def registry_of(**values):
    return Registry(Entry(name, OnPaper(value), "live", safer=SAFER.get(name)) for name, value in values.items())


def rule(adjust, rails=RATE, purpose="proposal", value=1.0):
    (verdict,) = arbitrate([Offer("a", adjust, purpose)], registry_of(**{adjust.hyperparameter: value}), rails)
    return verdict


CUT = Adjust("learning_rate", scale=0.8)


@define(eq=False)
class Proposes:
    """Proposes one change at every check."""

    scale: float = 0.9
    name: str = "learning_rate"

    @hookimpl
    def propose_adjustments(self, check):
        return Adjust(self.name, scale=self.scale, because="each check")


@pytest.fixture
def verdicts(supervise):
    """Return a function that runs ten checks, ten steps apart, and tells the verdict and reason at each."""

    def run(*strategies, steps=100, plan=PLAN, values=(("learning_rate", 1.0),), **config):
        told = supervise(
            *(strategies or (Proposes(),)),
            config={
                "extends": "default",
                "mode": "act",
                "check_every": 10,
                "hyperparameters": {name: {} for name, _ in values},
                "outcomes": {"release_after": 0},
                **config,
            },
            plan=plan,
            values=dict(values),
        )
        for step in range(10, steps + 1, 10):
            told.train(step, loss=1.0)
        told.supervisor.end()
        return {e.step: (e.data["verdict"], e.data["reason"]) for e in told.of("proposal")}

    return run


def test_as_shipped(verdicts):
    """By default a change waits out the warm-up, one check between two, and the last fifth of the run."""
    told = verdicts()

    assert [step for step, (verdict, _) in told.items() if verdict == "applied"] == [10, 30, 50, 70]
    assert told[20][1] == "it was changed 1 check ago; 1 must pass between two changes (cooldown)"
    assert told[80] == ("refused", "no change is made in the last 20% of the steps (rails.last_share)")
    assert told[100] == ("refused", "no step is left that a change could act on")


@pytest.mark.parametrize(
    ("bounds", "new"),
    [
        (Bounds(), 0.5),
        (Bounds(largest_change=0.1), 0.9),
        (Bounds(largest_change=0.95), pytest.approx(0.1)),
        (Bounds(min=0.7), 0.7),
        (Bounds(min_factor=0.6), 0.6),
    ],
)
def test_the_largest_change(bounds, new):
    """A change moves a value by half of itself at most, or by what its own entry in the config says; bounds hold too."""
    verdict = rule(Adjust("learning_rate", scale=0.1), evolve(RATE, allowed={"learning_rate": bounds}))

    assert (verdict.ruling, verdict.new) == ("accepted", new)
    assert new == 0.1 or "shortened by its bound from 0.1" in verdict.reason


def test_the_largest_change_of_a_value_below_zero():
    """Of a threshold of -2 half is 1, upwards and downwards."""
    rails = Rails("act", {"reward_threshold": Bounds()})

    assert rule(Adjust("reward_threshold", add=5.0), rails, value=-2.0).new == -1.0
    assert rule(Adjust("reward_threshold", add=-5.0), rails, value=-2.0).new == -3.0


@pytest.mark.parametrize("purpose", ["revert", "release"])
def test_what_undoes_is_not_shortened_by_the_largest_change(purpose):
    """Taking a change back moves the value as far as the change did."""
    assert rule(Adjust("learning_rate", scale=4.0), purpose=purpose).new == 4.0


@pytest.mark.parametrize(
    ("step", "purpose", "reason"),
    [
        (9, "proposal", "the learning rate warms up until step 10 (rails.warmup)"),
        (10, "proposal", ""),
        (79, "proposal", ""),
        (80, "proposal", "no change is made in the last 20% of the steps (rails.last_share)"),
        (80, "release", "no change is made in the last 20% of the steps (rails.last_share)"),
        (9, "release", ""),
        (99, "revert", ""),
        (100, "revert", "no step is left that a change could act on"),
    ],
)
def test_when(step, purpose, reason):
    """Proposals wait out the warm-up and the last fifth, releases the latter; what undoes a risk is made to the end."""
    verdict = rule(CUT, evolve(RATE, step=step), purpose)

    assert (verdict.ruling, verdict.reason if reason else "") == ("refused" if reason else "accepted", reason)


def test_limits_that_are_switched_off():
    """With `warmup: true` and `last_share: 0` the same proposals are accepted."""
    limits = Limits(warmup=True, last_share=0.0)

    assert [rule(CUT, evolve(RATE, limits=limits, step=step)).ruling for step in (0, 99)] == ["accepted"] * 2


def test_without_a_known_length_no_step_is_too_late():
    """A run that does not tell its length has no last fifth."""
    assert rule(CUT, evolve(RATE, plan=RunPlan(None), step=10_000)).ruling == "accepted"


@pytest.mark.parametrize("name", ["learning_rate", "learning_rate[0]", "max_grad_norm"])
@pytest.mark.parametrize("allowed", [False, True])
def test_beside_an_adaptive_scheduler(name, allowed):
    """GreedyLR moves the rate itself, so neither it nor that of a group is changed, unless allowed; the clip is."""
    plan = RunPlan(100, adaptive_scheduler="GreedyLR")
    rails = Rails("act", {name: Bounds()}, Limits(adaptive_scheduler=allowed), plan, step=50)
    verdict = rule(Adjust(name, scale=0.8), rails)

    refused = name != "max_grad_norm" and not allowed
    assert verdict.ruling == ("refused" if refused else "accepted")
    assert not refused or verdict.reason == "GreedyLR adapts the learning rate itself (rails.adaptive_scheduler)"


def test_the_cooldown_counts_scheduled_checks(verdicts):
    """With a cooldown of 3, three checks pass between two changes."""
    told = verdicts(rails={"cooldown": 3, "last_share": 0.0})

    assert [step for step, (verdict, _) in told.items() if verdict == "applied"] == [10, 50, 90]


def test_a_cooldown_of_its_own(verdicts):
    """The entry of a hyperparameter takes the place of the run's limit; the others keep theirs."""
    told = {}
    for own in ({}, {"cooldown": 0}):
        told[len(own)] = verdicts(hyperparameters={"learning_rate": own}, rails={"last_share": 0.0})

    applied = [[step for step, (v, _) in told[n].items() if v == "applied"] for n in (0, 1)]
    assert applied == [[10, 30, 50, 70, 90], [10, 20, 30, 40, 50, 60, 70, 80, 90]]


def test_the_cooldown_of_one_is_not_that_of_another():
    """A change of the clip does not make the rate wait."""
    assert rule(CUT, evolve(RATE, standing=Standing(4, {"max_grad_norm": Made(1, 4)}))).ruling == "accepted"


def test_the_budget_of_a_run(verdicts):
    """After three changes there is no fourth; what is refused is not counted."""
    told = verdicts(rails={"budget": 3, "cooldown": 0})

    assert [step for step, (verdict, _) in told.items() if verdict == "applied"] == [10, 20, 30]
    assert told[40] == ("refused", "the budget of 3 changes a run is spent (rails.budget)")


def test_the_budget_holds_within_a_check():
    """Where one change is left and two hyperparameters are to be changed, the first offered is."""
    rails = Rails("act", {"learning_rate": Bounds(), "max_grad_norm": Bounds()}, Limits(budget=1))
    offers = [Offer("a", Adjust("max_grad_norm", scale=0.8)), Offer("b", CUT)]
    clip, rate = arbitrate(offers, registry_of(learning_rate=1.0, max_grad_norm=1.0), rails)

    assert (clip.ruling, rate.ruling) == ("accepted", "refused")
    assert rate.reason == "the budget of 1 changes a run is spent (rails.budget)"


def test_the_budget_of_one_hyperparameter(verdicts):
    """Its own budget is spent while the run's is not."""
    told = verdicts(hyperparameters={"learning_rate": {"budget": 1}}, rails={"cooldown": 0})

    assert [told[step] for step in (10, 20)] == [
        ("applied", "1 -> 0.9"),
        ("refused", "its budget of 1 changes a run is spent"),
    ]


def test_undoing_costs_no_budget_and_waits_for_no_cooldown():
    """What Steersman takes back is made although the budget is spent and the last change was at this check."""
    rails = evolve(RATE, limits=Limits(budget=1), standing=Standing(1, {"learning_rate": Made(1, 1)}))

    assert rule(CUT, rails).ruling == "refused"
    assert [rule(CUT, rails, purpose).ruling for purpose in ("revert", "release")] == ["accepted"] * 2


def test_the_owner_alone():
    """With `owner: slow` the safer proposal of another loses, and the owner's is made."""
    slow = evolve(RATE, allowed={"learning_rate": Bounds(owner="slow")})
    offers = [Offer("fast", Adjust("learning_rate", scale=0.5)), Offer("slow", CUT)]
    fast, own = arbitrate(offers, registry_of(learning_rate=1.0), slow)

    assert (fast.ruling, fast.reason) == ("lost", "its owner is slow")
    assert (own.ruling, own.new) == ("accepted", 0.8)


@pytest.mark.parametrize("mode", ["ask", "act"])
def test_a_name_that_the_config_does_not_give(mode):
    """Where values are written only what the config names may be."""
    verdict = rule(CUT, Rails(mode, {}))

    assert verdict.ruling == "refused"
    assert verdict.reason.startswith("learning_rate is not named under `hyperparameters:` in the config")


def test_standing_goes_through_a_checkpoint():
    """Checks, changes and when the newest was are given back."""
    standing = Standing()
    for checks in (3, 5):
        standing.checks = checks
        standing.note("learning_rate")
    standing.note("kl_penalty")
    back = Standing()
    back.restore(standing.save())

    assert back == standing
    assert (back.changes, back.made["learning_rate"]) == (3, Made(2, 5))


numbers = st.floats(1e-6, 1e3)
NAMES = ("learning_rate", "kl_penalty", "reward_weight", "temperature", "reward_threshold")
offered = st.builds(
    lambda name, size, scaled: Adjust(name, scale=size) if scaled else Adjust(name, add=size - 1.0),
    st.sampled_from(NAMES),
    st.floats(0.05, 20.0),
    st.booleans(),
)


@given(
    st.lists(st.lists(offered, max_size=5), max_size=12),
    st.lists(numbers, min_size=5, max_size=5),
    st.sampled_from([None, 0.1, 0.5, 3.0]),
    st.integers(0, 3),
    st.integers(0, 6),
    st.floats(0.1, 1.0),
    st.sets(st.sampled_from(NAMES), max_size=5),
)
def test_no_sequence_of_checks_leaves_the_rails(checks, values, largest, cooldown, budget, least, allowed):
    """Whatever is offered check after check: bounds, largest change, cooldown, budget, consent and one winner each."""
    first = dict(zip(NAMES, values, strict=True))
    registry, standing = registry_of(**first), Standing()
    bounds = {name: Bounds(max=2 * first[name], min_factor=least) for name in allowed}
    made: list[tuple[int, str]] = []
    for number, adjusts in enumerate(checks, 1):
        standing.checks = number
        rails = Rails("act", bounds, Limits(largest, cooldown, budget), standing=standing)
        offers = [Offer(f"s{i}", adjust) for i, adjust in enumerate(adjusts)]
        for verdict in arbitrate(offers, registry, rails):
            name = verdict.offer.adjust.hyperparameter
            if verdict.ruling != "accepted":
                continue
            assert (number, name) not in made
            made.append((number, name))
            assert largest is None or abs(verdict.new - verdict.old) <= largest * verdict.old * (1 + 1e-9)
            registry.write(name, verdict.new, verdict.ratio)
            standing.note(name)
    assert {name for _, name in made} <= allowed
    assert len(made) <= budget
    for name in allowed:
        value, factor = registry.get(name).value, registry.get(name).factor
        assert value <= 2 * first[name]
        assert factor >= least * (1 - 1e-9) or math.isclose(factor, 1.0)
        at = [number for number, changed in made if changed == name]
        assert all(later - earlier > cooldown for earlier, later in pairwise(at))
