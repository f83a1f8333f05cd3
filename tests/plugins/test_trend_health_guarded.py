"""`trend-health` with the preset `guarded`, the default: what its origin learned, through the real Supervisor."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trend_health_words import SIX, changes, epochs, offers, rules, scheduled

from steersman import replay
from steersman.testing import Played, a_run
from steersman_plugins.guarded.signs import GuardedRules
from steersman_plugins.trend_health import TrendHealth

CUT = ("learning_rate", "x0.5", 1e-7, None)
RAISE_KL = ("kl_penalty", "x1.05", None, 0.3)
COOLER = ("temperature", "x0.95", 0.5, None)

LEARNING = [2.0, 1.8, 1.6, 1.4]
"""Falls steadily: no noise, a progress of 0.6, so that 12 % of it, 0.072, is the limit."""
NOISY = [1.0, 1.1, 0.95, 1.05, 0.9]
"""Differences 0.1 and -0.15 in turn: MAD 0.125, so that 6 x 0.125 = 0.75 is the limit."""
DECLINE = [0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.05]
"""The reward is below its best of 0.5 by more than 0.048 for two checks running."""

JUMPY = [-1.0, -1.25, -1.0, -1.5, -3.5]
"""Differences -0.25, 0.25, -0.5, -2: MAD 0.375, so that 6 x 0.375 = 2.25 below the best of -1 is the limit."""

STEADY = [{"loss": 1.0, "grad_norm": norm} for norm in (0.4, 0.5, 0.5, 0.6)]
"""Gradient norms whose median is 0.5."""


def guarded(**options: Any) -> TrendHealth:
    return TrendHealth(guarded=GuardedRules(**options))


def cuts(played: Played) -> list[int]:
    return [change.step for change in played.changes]


def losses(*values: float) -> list[dict[str, float]]:
    return [{"loss": value} for value in values]


def rewards(*values: float, **more: float) -> list[dict[str, float]]:
    return [{"reward": value, **more} for value in values]


def with_std(values: list[float], deviations: list[float]) -> list[dict[str, float]]:
    return [{"reward": r, "reward_std": d} for r, d in zip(values, deviations, strict=True)]


FIRES: dict[str, tuple[str, list[dict[str, float]], set[tuple[str, str, float | None, float | None]]]] = {
    "loss is NaN": ("non-finite-loss", [{"loss": 1.0}, {"loss": math.nan}], {CUT}),
    "loss is infinite": ("non-finite-loss", [{"loss": 1.0}, {"loss": math.inf}], {CUT}),
    "gradient is NaN": ("non-finite-grad-norm", [{"loss": 1.0}, {"loss": 1.0, "grad_norm": math.nan}], {CUT}),
    "gradient is infinite": ("non-finite-grad-norm", [{"loss": 1.0}, {"loss": 1.0, "grad_norm": math.inf}], {CUT}),
    "gradient explodes": ("gradient-explosion", [*STEADY, {"loss": 1.0, "grad_norm": 5.01}], {CUT}),
    "KL is high": ("kl-runaway", rewards(0.5, kl=5.01), {CUT, RAISE_KL}),
    "KL jumps": ("kl-runaway", [*rewards(0.5, kl=1.0), *rewards(0.5, kl=3.01)], {CUT, RAISE_KL}),
    "loss gives up progress": ("loss-diverged", losses(*LEARNING, 1.4721), {CUT}),
    "loss leaves its noise": ("loss-diverged", losses(*NOISY, 1.651), {CUT}),
    "reward declines": ("reward-declining", rewards(*DECLINE), {RAISE_KL}),
    "reward leaves its noise": ("reward-declining", rewards(*JUMPY, -3.26), {RAISE_KL}),
    "reward is noisier and rises": (
        "reward-variance",
        with_std([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [0.1] * 6 + [0.5]),
        {COOLER},
    ),
    "reward is noisier": ("reward-variance", with_std(DECLINE, [0.1] * 6 + [math.sqrt(0.0301)]), {COOLER}),
}

SILENT: dict[str, tuple[str, list[Any]]] = {
    "gradient is exactly 10 x its median": ("gradient-explosion", [*STEADY, {"loss": 1.0, "grad_norm": 5.0}]),
    "gradient has three windows only": ("gradient-explosion", [*STEADY[1:], {"loss": 1.0, "grad_norm": 99.0}]),
    "KL is exactly 5": ("kl-runaway", [*rewards(0.5, kl=4.0), *rewards(0.5, kl=5.0)]),
    "KL jumps by exactly 2": ("kl-runaway", [*rewards(0.5, kl=1.0), *rewards(0.5, kl=3.0)]),
    "KL falls": ("kl-runaway", [*rewards(0.5, kl=4.9), *rewards(0.5, kl=0.1)]),
    "KL of a run without rewards": ("kl-runaway", [{"loss": 1.0, "kl": 9.0}, {"loss": 1.0, "kl": 99.0}]),
    "loss gives up little": ("loss-diverged", losses(*LEARNING, 1.4719)),
    "loss stays in its noise": ("loss-diverged", losses(*NOISY, 1.649)),
    "loss has four windows only": ("loss-diverged", losses(*LEARNING[:3], 9.0)),
    "loss was always the same": ("loss-diverged", losses(1.0, 1.0, 1.0, 1.0, 1.5)),
    "reward declines once": ("reward-declining", rewards(*DECLINE[:6])),
    "reward declines and recovers": ("reward-declining", rewards(*DECLINE[:6], 0.5)),
    "reward is hardly noisier": ("reward-variance", with_std(DECLINE, [0.1] * 6 + [math.sqrt(0.0299)])),
    "reward had no variance before": ("reward-variance", with_std(DECLINE, [0.0] * 6 + [0.1])),
    "loss is at its limit": ("loss-diverged", losses(1.0, 1.25, 1.0, 1.5, 2.5)),
    "reward is at its limit": ("reward-declining", rewards(*JUMPY, -3.25)),
    "reward has five windows only": ("reward-declining", rewards(0.1, 0.2, 0.3, -0.5, -0.5)),
}


@pytest.mark.parametrize("case", FIRES)
def test_a_rule_fires(case: str) -> None:
    """Just beyond its limit each rule is found and proposes its changes, with their bounds."""
    rule, logs, row = FIRES[case]
    because = {"non-finite-loss", "non-finite-grad-norm", "gradient-explosion", "kl-runaway"}

    played = epochs(*logs, **SIX).play(TrendHealth)

    assert rule in rules(played)
    proposed = offers(played, because="divergence") | offers(played, because="kl-runaway") if rule in because else None
    assert (proposed or offers(played, because=rule)) == row


@pytest.mark.parametrize("case", SILENT)
def test_a_rule_just_does_not_fire(case: str) -> None:
    """At the limit, or one condition short, the rule says nothing and nothing is proposed in its name."""
    rule, logs = SILENT[case]

    played = epochs(*logs, **SIX).play(TrendHealth)

    assert len(scheduled(played)) == len(logs)
    assert rule not in rules(played)
    assert offers(played, because=rule) == offers(played, because="divergence") == set()


@pytest.mark.parametrize("rule", ["loss-rising", "loss-high", "loss-spike"])
def test_the_seed_rules_on_loss_are_gone(rule: str) -> None:
    """A language model's loss, above 0.5 in every epoch and rising by a hair, is healthy; `seed` cuts its rate."""
    logs = losses(3.0, 2.6, 2.4, 2.45, 2.3, 2.1, 2.32, 2.0)

    played = epochs(*logs, **SIX).play(TrendHealth)
    seed = epochs(*logs, **SIX).play(TrendHealth(preset="seed"))

    assert (rules(played), offers(played)) == ([], set())
    assert rule in rules(seed)


def test_a_gradient_that_was_always_large_is_no_explosion() -> None:
    """Whatever the clip is, a large gradient norm that the run has had before is no finding."""
    for values in ({}, {"max_grad_norm": 0.1}):
        assert rules(epochs(*[{"grad_norm": 1e6}] * 6, **values).play(TrendHealth)) == []


def test_divergence_halves_the_rate_once_whatever_showed_it() -> None:
    """A NaN loss, a NaN gradient and a runaway KL together make one cut."""
    logs = [
        {"reward": 0.5, "loss": 1.0, "kl": 1.0},
        {"reward": 0.5, "loss": math.nan, "grad_norm": math.nan, "kl": 9.0},
    ]

    played = epochs(*logs, learning_rate=1e-4).play(TrendHealth)

    verdicts = [p.verdict for p in played.proposals if p.hyperparameter == "learning_rate"]
    assert verdicts == ["applied", "lost", "lost"]
    assert changes(played) == {"learning_rate": (1e-4, 5e-5)}


def test_a_nan_is_looked_at_before_the_window_closes() -> None:
    """A NaN loss at step 3 of an epoch of 8 cuts the rate at step 3; the end of the epoch does not cut it again."""
    first = [math.nan if step == 3 else 1.0 for step in range(1, 9)]

    played = a_run(8, learning_rate=1e-4).epoch(logs=8, loss=first).epoch(logs=8, loss=1.0).play(TrendHealth)

    checks = [(e.step, e.data["reason"]) for e in played.of("check")]
    assert checks[:2] == [(3, "anomaly"), (8, "scheduled")]
    assert cuts(played) == [3]
    assert changes(played) == {"learning_rate": (1e-4, 5e-5)}


@pytest.mark.parametrize(("loss", "masked"), [(0.0, True), (2.0, False)])
def test_a_masked_divergence_is_named(loss: float, masked: bool) -> None:
    """A logged loss of 0.0 beside a NaN gradient, and no other, is said to be the trainer's NaN filter."""
    played = epochs({"loss": 2.0}, {"loss": loss, "grad_norm": math.nan}).play(TrendHealth)

    [found, *_] = [found for found in played.findings if found.name == "non-finite-grad-norm"]
    assert (found.severity, "NaN filter" in found.message) == ("critical", masked)


def test_a_loss_of_zero_alone_is_no_finding() -> None:
    """A logged loss of 0.0 with a finite gradient proves nothing."""
    assert rules(epochs(*[{"loss": 0.0, "grad_norm": 0.2}] * 6).play(TrendHealth)) == []


@given(
    rewards=st.lists(st.floats(-5, 5), min_size=6, max_size=14).map(lambda r: sorted(r, reverse=True)),
    loss=st.lists(st.floats(0, 8), min_size=14, max_size=14),
    kl=st.lists(st.floats(0, 12), min_size=14, max_size=14),
    deviation=st.lists(st.floats(0, 3), min_size=14, max_size=14),
)
@settings(max_examples=25)
def test_falling_reward_amplifies_nothing(
    rewards: list[float],
    loss: list[float],
    kl: list[float],
    deviation: list[float],
) -> None:
    """While the reward falls nothing raises temperature or reward weight or lowers KL, whatever else is logged."""
    logs = [
        {"reward": r, "loss": a, "kl": b, "reward_std": c}
        for r, a, b, c in zip(rewards, loss, kl, deviation, strict=False)
    ]

    played = epochs(*logs, **SIX).play(TrendHealth)

    scales = {e.data["hyperparameter"]: e.data["scale"] for e in played.of("proposal")}
    assert scales.keys() <= {"learning_rate", "kl_penalty", "temperature"}
    assert scales.get("temperature", 0) < 1 < scales.get("kl_penalty", 2)


def test_high_variance_lowers_the_temperature() -> None:
    """A reward variance of 0.0301 after six of 0.01, while the reward falls, makes the temperature 0.95 of itself."""
    played = epochs(*FIRES["reward is noisier"][1], temperature=1.0).play(TrendHealth)

    assert changes(played) == {"temperature": (1.0, 0.95)}


@pytest.mark.parametrize(("logs", "last_noise", "found_in"), [(4, 0.02, 0), (20, 0.02, 0), (20, 0.1, 40)])
def test_the_scatter_of_few_rewards_is_no_variance(logs: int, last_noise: float, found_in: int) -> None:
    """A rise with noise of 0.02 is found in none of 40 seeds; with 20 logs a window, five times that noise is, in all."""
    courses = 0
    for seed in range(40):
        chance, story = random.Random(seed), a_run(20)
        for window in range(20):
            noise = last_noise if window == 19 else 0.02
            values = [0.2 + 0.03 * (window + i / logs) + chance.gauss(0.0, noise) for i in range(logs)]
            story = story.epoch(logs=logs, reward=values)
        courses += "reward-variance" in rules(story.play(TrendHealth))

    assert courses == found_in


@pytest.mark.parametrize(("old", "new"), [(0.15, 0.1575), (0.29, 0.3)])
def test_kl_rises_slowly_towards_its_ceiling(old: float, new: float) -> None:
    """A declining reward raises the KL penalty by 5 %, and to 0.3 at most."""
    played = epochs(*rewards(*DECLINE), kl_penalty=old).play(TrendHealth)

    assert changes(played) == {"kl_penalty": (old, pytest.approx(new))}


def test_kl_stays_at_its_ceiling() -> None:
    """At 0.3 the KL penalty is not raised any more, and not lowered to the ceiling from above it."""
    for value in (0.3, 0.5):
        played = epochs(*rewards(*DECLINE), kl_penalty=value).play(TrendHealth)

        assert [p.verdict for p in played.proposals if p.hyperparameter == "kl_penalty"] == ["refused"]
        assert changes(played) == {}


def test_a_hyperparameter_cools_for_an_epoch() -> None:
    """KL that runs away at every check of 2 steps cuts the rate once an epoch of 8 steps, not four times."""
    story = a_run(8, learning_rate=1e-4)
    for _ in range(3):
        story = story.epoch(logs=8, reward=0.5, kl=9.0)

    played = story.play(TrendHealth, check_every=2)

    assert cuts(played) == [2, 10, 18]
    assert rules(played).count("kl-runaway") == 12
    assert played.values["learning_rate"] == pytest.approx(1e-4 / 8)


def test_without_epochs_a_hyperparameter_cools_for_a_window() -> None:
    """Where the trainer knows no epochs a runaway KL in every window of 4 steps cuts the rate once a window."""
    story = a_run(None, learning_rate=1e-4)
    for _ in range(12):
        story = story.log(reward=0.5, kl=9.0)

    played = story.play(TrendHealth, check_every=4)

    assert cuts(played) == [4, 8, 12]


def test_one_divergence_is_answered_once_in_the_first_window() -> None:
    """A NaN loss at step 1, a NaN gradient at step 2 and the check at step 4 are one cut, at step 1."""
    story = a_run(None, learning_rate=1e-4).log(loss=math.nan).log(loss=1.0, grad_norm=math.nan)

    played = story.log(loss=1.0).log(loss=1.0).log(loss=1.0).play(TrendHealth, check_every=4)

    assert [entry.step for entry in played.of("check")] == [1, 2, 4, 5]
    assert cuts(played) == [1]


def test_an_epoch_that_becomes_known_late_disturbs_nothing() -> None:
    """A change made before the first known epoch cools by windows, without an error."""
    story = a_run(None, learning_rate=1e-4)
    for step in range(1, 9):
        story = attrs.evolve(story, steps_per_epoch=None if step < 5 else 8).log(reward=0.5, kl=9.0)

    played = story.play(TrendHealth, check_every=4)

    assert (cuts(played), played.errors) == ([4, 8], ())


def test_the_cooldown_is_each_hyperparameters_own() -> None:
    """A rate that cools does not keep the KL penalty, first raised later, from its change."""
    story = a_run(8, learning_rate=1e-4, kl_penalty=0.1)
    story = story.log(steps=2, reward=0.5, grad_norm=math.inf, kl=1.0).log(steps=2, reward=0.5, grad_norm=0.1, kl=9.0)

    played = story.play(TrendHealth, check_every=2)

    assert [(change.step, change.hyperparameter) for change in played.changes] == [
        (2, "learning_rate"),
        (4, "kl_penalty"),
    ]


def decisions(played: Played) -> list[tuple[object, ...]]:
    """What was found and proposed, without the figures."""
    kinds = ("finding", "proposal")
    named = ("name", "severity", "hyperparameter", "scale", "verdict", "old", "new", "because")
    return [
        (entry.step, entry.kind, *(entry.data.get(name) for name in named))
        for entry in played.entries
        if entry.kind in kinds
    ]


@given(st.lists(st.floats(0.01, 10), min_size=5, max_size=16), st.integers(-10, 10))
@settings(max_examples=25)
def test_decisions_do_not_depend_on_the_unit_of_the_loss(values: list[float], exponent: int) -> None:
    """All losses multiplied by a constant (a power of two, exact in floating point) leave every decision as it was."""
    played = epochs(*losses(*values), **SIX).play(TrendHealth)
    scaled = epochs(*losses(*(2.0**exponent * value for value in values)), **SIX).play(TrendHealth)

    assert decisions(played) == decisions(scaled)


@pytest.mark.parametrize("constant", [1 / math.log(2), 1e-3, 1000.0])
def test_bits_and_nats_are_steered_alike(constant: float) -> None:
    """A run that diverges in nats diverges in bits, at the same step and with the same change."""
    story = [4.0, 3.2, 2.9, 2.7, 2.65, 2.6, 3.6, 2.6, 2.58]

    one, other = (epochs(*losses(*(c * value for value in story)), **SIX).play(TrendHealth) for c in (1.0, constant))

    assert decisions(one) == decisions(other)
    assert rules(one) == ["loss-diverged"]


@pytest.mark.parametrize(
    "key", ["completion_length", "completions/mean_length", "frac_reward_zero_std", "actor/ppo_kl"]
)
@pytest.mark.parametrize(("loss_rules", "found"), [("auto", []), ("on", ["loss-diverged"])])
def test_loss_rules_of_a_policy_gradient_trainer(key: str, loss_rules: Literal["auto", "on"], found: list[str]) -> None:
    """The setback of a loss that is no measure of health counts only with `loss_rules: on`."""
    logs = [{"loss": loss, "reward": 0.5, key: 0.1} for loss in (*LEARNING, 3.0)]

    assert rules(epochs(*logs).play(TrendHealth(loss_rules=loss_rules))) == found


def test_a_nan_counts_in_a_policy_gradient_run_too() -> None:
    """That the loss rules are off does not hide a loss that is NaN."""
    logs = [{"loss": loss, "reward": 0.5, "completion_length": 9.0} for loss in (0.1, math.nan)]

    assert offers(epochs(*logs, **SIX).play(TrendHealth)) == {CUT}


def test_the_rewards_of_dpo_and_kto_are_no_reward() -> None:
    """`rewards/*` that decline, and a `kl` beside them, are nobody's reward: nothing is found."""
    logs = [{"rewards/chosen": r, "rewards/margins": r, "eval_reward": r, "kl": 1e3 * r} for r in DECLINE]

    played = epochs(*logs, **SIX).play(TrendHealth)

    assert (rules(played), offers(played)) == ([], set())


@pytest.mark.parametrize("check_every", ["auto", "epoch", 5, 10, 25, 50])
def test_nothing_is_proposed_on_a_healthy_grpo_run(runs: Path, check_every: str | int) -> None:
    """On a real GRPO run that learned, `guarded` finds and proposes nothing at any cadence."""
    told = replay(
        runs / "trainer_state" / "unslothgrpo-01.json",
        {"use": ["trend-health"], "check_every": check_every},
        values=SIX,
    )

    assert len(told.recording.records) == 250
    assert [entry.data["name"] for entry in told.of("finding")] == []
    assert told.of("proposal") == ()


def test_a_real_masked_divergence_is_found_at_once(runs: Path) -> None:
    """A real dead run, every loss 0.0 and every gradient NaN, is found at its first log, and the cut proposed."""
    told = replay(
        runs / "trainer_state" / "16831-project-01.json", {"use": ["trend-health"]}, values={"learning_rate": 1e-4}
    )

    [first, *_] = told.of("finding")
    assert (first.step, first.data["name"]) == (told.recording.records[0].step, "non-finite-grad-norm")
    assert {(e.data["hyperparameter"], e.data["scale"]) for e in told.of("proposal")} == {("learning_rate", 0.5)}


def test_seed_would_have_steered_the_healthy_grpo_run(runs: Path) -> None:
    """The same log under `seed` does get proposals, so that the silence above is the preset's own."""
    config = {"use": [{"trend-health": {"preset": "seed"}}], "check_every": 10}

    told = replay(runs / "trainer_state" / "unslothgrpo-01.json", config, values=SIX)

    assert {e.data["because"] for e in told.of("proposal")} == {"reward-declining", "reward-variance"}


OPTIONS: dict[str, tuple[float, str, set[tuple[str, str, float | None, float | None]]]] = {
    "lr_factor": (0.25, "loss gives up progress", {("learning_rate", "x0.25", 1e-7, None)}),
    "lr_min": (1e-6, "loss gives up progress", {("learning_rate", "x0.5", 1e-6, None)}),
    "explosion_multiple": (11, "gradient explodes", set()),
    "kl_ceiling_seen": (6, "KL is high", set()),
    "kl_jump": (2.1, "KL jumps", set()),
    "windows_needed": (5, "loss gives up progress", set()),
    "noise_multiple": (7, "loss leaves its noise", set()),
    "progress_share": (0.15, "loss gives up progress", set()),
    "kl_factor": (1.1, "reward declines", {("kl_penalty", "x1.1", None, 0.3)}),
    "kl_max": (0.2, "reward declines", {("kl_penalty", "x1.05", None, 0.2)}),
    "variance_multiple": (4.1, "reward is noisier", {RAISE_KL}),
    "temperature_factor": (0.9, "reward is noisier", {RAISE_KL, ("temperature", "x0.9", 0.5, None)}),
    "temperature_min": (0.8, "reward is noisier", {RAISE_KL, ("temperature", "x0.95", 0.8, None)}),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_threshold_factor_and_bound_is_an_option(option: str) -> None:
    """Setting one option changes exactly what is proposed in the case that depends on it."""
    value, case, row = OPTIONS[option]

    assert offers(epochs(*FIRES[case][1], **SIX).play(guarded(**{option: value}))) == row


def test_no_option_is_left_untested() -> None:
    """The table of options above names every one that the preset has."""
    assert set(OPTIONS) == {field.name for field in attrs.fields(GuardedRules)}
