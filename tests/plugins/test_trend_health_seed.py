"""`trend-health` with the preset `seed`: every rule of the specification, through the real Supervisor."""

from __future__ import annotations

import math
from typing import Any, Literal

import attrs
import pytest
from trend_health_words import SIX, changes, epochs, offers, rules, scheduled

from steersman.testing import a_run
from steersman_plugins.seed_rules import SeedRules
from steersman_plugins.trend_health import TrendHealth

LR = ("learning_rate", "x0.8", 1e-7, None)
CLIP = ("max_grad_norm", "x0.8", 0.1, None)
SPIKE_KL = ("kl_penalty", "x1.2", None, 0.3)
WEIGHT = ("reward_weight", "x1.15", None, 3.0)
LOWER_KL = ("kl_penalty", "x0.9", 0.05, None)
THRESHOLD = ("reward_threshold", "+0.02", None, 0.3)
OVERFITTING_KL = ("kl_penalty", "x1.1", None, 0.25)
WARMER = ("temperature", "x1.1", None, 1.5)


def seed(**options: float) -> TrendHealth:
    return TrendHealth(preset="seed", seed=SeedRules(**options))


def loss(*values: float) -> list[dict[str, float]]:
    return [{"loss": value} for value in values]


def both(losses: list[float], rewards: list[float]) -> list[dict[str, float]]:
    return [{"loss": loss, "reward": reward} for loss, reward in zip(losses, rewards, strict=True)]


def spread(reward: float, deviation: float) -> dict[str, Any]:
    """Two logs with this mean and standard deviation of the reward."""
    return {"logs": 2, "reward": [reward - deviation, reward + deviation]}


FIRES: dict[str, tuple[str, list[Any], set[tuple[str, str, float | None, float | None]]]] = {
    "loss-spike": ("loss-spike", loss(0.2, 0.4001), {LR, SPIKE_KL, CLIP}),
    "loss-rising": ("loss-rising", loss(0.2, 0.2001), {LR}),
    "loss-high": ("loss-high", loss(0.6, 0.5001), {LR}),
    "reward-declining": ("reward-declining", both([0.45, 0.45], [0.5, 0.49]), {WEIGHT}),
    "reward-declining, low loss": ("reward-declining", both([0.39, 0.39], [0.5, 0.49]), {WEIGHT, LOWER_KL}),
    "reward-stagnant": ("reward-stagnant", both([0.3] * 3, [0.2, 0.2, 0.209]), {WEIGHT}),
    "reward-variance": ("reward-variance", [spread(0.5, 0.1), spread(0.5, math.sqrt(0.0801))], {THRESHOLD}),
    "overfitting": ("overfitting", both([0.1, 0.1501], [0.0, 0.01001]), {OVERFITTING_KL}),
    "needs-exploration": ("needs-exploration", both([0.35, 0.2999], [0.3, 0.3]), {WARMER}),
}

SILENT: dict[str, tuple[str, list[Any]]] = {
    "loss rose by exactly 0.2": ("loss-spike", loss(0.2, 0.4)),
    "loss did not rise": ("loss-rising", loss(0.3, 0.3)),
    "loss is exactly 0.5": ("loss-high", loss(0.6, 0.5)),
    "reward did not fall": ("reward-declining", both([0.3, 0.3], [0.4, 0.4])),
    "reward moved by exactly 0.01 in two epochs": ("reward-stagnant", both([0.3] * 3, [0.0, 0.1, 0.01])),
    "reward stagnates at 0.3": ("reward-stagnant", both([0.3] * 3, [0.3, 0.2, 0.3])),
    "reward has two epochs only": ("reward-stagnant", both([0.3] * 2, [0.2, 0.2])),
    "variance is below 0.08": ("reward-variance", [spread(0.5, 0.1), spread(0.5, math.sqrt(0.0799))]),
    "reward rose by exactly 0.01": ("overfitting", both([0.1, 0.2], [0.0, 0.01])),
    "loss rose by exactly 0.05": ("overfitting", both([0.05, 0.1], [0.3, 0.4])),
    "loss fell by exactly 0.05": ("needs-exploration", both([0.1, 0.05], [0.3, 0.3])),
    "reward rose by exactly 0.01, loss fell": ("needs-exploration", both([0.3, 0.1], [0.0, 0.01])),
    "loss is exactly 0.3": ("needs-exploration", both([0.6, 0.3], [0.3, 0.3])),
}


@pytest.mark.parametrize("case", FIRES)
def test_a_rule_fires_and_proposes_its_row(case: str) -> None:
    """Each rule, just beyond its threshold, is found and proposes the changes of its row with the row's bounds."""
    rule, logs, row = FIRES[case]

    played = epochs(*logs, **SIX).play(seed())

    assert rule in rules(played)
    assert offers(played, because=rule) == row


@pytest.mark.parametrize("case", SILENT)
def test_a_rule_just_does_not_fire(case: str) -> None:
    """At the threshold itself, or one condition short, the rule says and proposes nothing."""
    rule, logs = SILENT[case]

    played = epochs(*logs, **SIX).play(seed())

    assert len(scheduled(played)) == len(logs)
    assert rule not in rules(played)
    assert offers(played, because=rule) == set()


def test_declining_reward_at_a_loss_of_exactly_0_4_leaves_the_kl_penalty() -> None:
    """The KL penalty is lowered below a loss of 0.4, not at it; the reward weight is raised in both."""
    played = epochs(*both([0.4, 0.4], [0.5, 0.4]), **SIX).play(seed())

    assert offers(played) == {WEIGHT}


def test_a_variance_of_exactly_the_threshold_is_not_high() -> None:
    """Rewards 0.25 and 0.75 vary by exactly 0.0625, which is not above a threshold of 0.0625 but above 0.062."""
    logs = [spread(0.5, 0.25), spread(0.5, 0.25)]

    at, below = (rules(epochs(*logs).play(seed(variance_threshold=v))) for v in (0.0625, 0.062))

    assert (at, below) == ([], ["reward-variance"])


@pytest.mark.parametrize(
    ("case", "hyperparameter", "old", "new"),
    [
        ("loss-rising", "learning_rate", 1.1e-7, 1e-7),
        ("loss-spike", "kl_penalty", 0.28, 0.3),
        ("loss-spike", "max_grad_norm", 0.11, 0.1),
        ("reward-declining", "reward_weight", 2.8, 3.0),
        ("reward-declining, low loss", "kl_penalty", 0.052, 0.05),
        ("reward-stagnant", "reward_weight", 2.8, 3.0),
        ("reward-variance", "reward_threshold", 0.29, 0.3),
        ("overfitting", "kl_penalty", 0.24, 0.25),
        ("needs-exploration", "temperature", 1.4, 1.5),
    ],
)
def test_a_bound_shortens_a_change(case: str, hyperparameter: str, old: float, new: float) -> None:
    """Near its bound a change goes to the bound and no further."""
    played = epochs(*FIRES[case][1], **{hyperparameter: old}).play(seed())

    assert changes(played) == {hyperparameter: (old, new)}


@pytest.mark.parametrize(
    ("case", "hyperparameter", "value"),
    [
        ("loss-rising", "learning_rate", 1e-7),
        ("loss-rising", "learning_rate", 5e-8),
        ("loss-spike", "kl_penalty", 0.3),
        ("loss-spike", "max_grad_norm", 0.1),
        ("reward-declining", "reward_weight", 3.0),
        ("reward-declining, low loss", "kl_penalty", 0.05),
        ("reward-declining, low loss", "kl_penalty", 0.03),
        ("reward-variance", "reward_threshold", 0.3),
        ("overfitting", "kl_penalty", 0.25),
        ("overfitting", "kl_penalty", 0.28),
        ("needs-exploration", "temperature", 1.5),
    ],
)
def test_a_bound_never_reverses_a_change(case: str, hyperparameter: str, value: float) -> None:
    """At or beyond its bound a change is refused with the reason, and the value stays: 0.28 x1.1 is not 0.25."""
    played = epochs(*FIRES[case][1], **{hyperparameter: value}).play(seed())

    refused = [p for p in played.proposals if (p.hyperparameter, p.because) == (hyperparameter, FIRES[case][0])]
    assert [(p.verdict, "already at its bound" in p.reason) for p in refused] == [("refused", True)]
    assert changes(played) == {}


OPTIONS: dict[str, tuple[float, str, set[tuple[str, str, float | None, float | None]]]] = {
    "spike_rise": (0.22, "loss-spike", set()),
    "high_loss": (0.52, "loss-high", set()),
    "lr_factor": (0.5, "loss-rising", {("learning_rate", "x0.5", 1e-7, None)}),
    "lr_min": (1e-6, "loss-rising", {("learning_rate", "x0.8", 1e-6, None)}),
    "spike_kl_factor": (1.3, "loss-spike", {LR, CLIP, ("kl_penalty", "x1.3", None, 0.3)}),
    "spike_kl_max": (0.4, "loss-spike", {LR, CLIP, ("kl_penalty", "x1.2", None, 0.4)}),
    "clip_factor": (0.5, "loss-spike", {LR, SPIKE_KL, ("max_grad_norm", "x0.5", 0.1, None)}),
    "clip_min": (0.2, "loss-spike", {LR, SPIKE_KL, ("max_grad_norm", "x0.8", 0.2, None)}),
    "reward_weight_factor": (1.3, "reward-declining", {("reward_weight", "x1.3", None, 3.0)}),
    "reward_weight_max": (4.0, "reward-declining", {("reward_weight", "x1.15", None, 4.0)}),
    "declining_kl_factor": (0.8, "reward-declining, low loss", {WEIGHT, ("kl_penalty", "x0.8", 0.05, None)}),
    "declining_kl_min": (0.1, "reward-declining, low loss", {WEIGHT, ("kl_penalty", "x0.9", 0.1, None)}),
    "declining_kl_below_loss": (0.38, "reward-declining, low loss", {WEIGHT}),
    "stagnant_change": (0.008, "reward-stagnant", set()),
    "stagnant_below": (0.2, "reward-stagnant", set()),
    "variance_threshold": (0.09, "reward-variance", set()),
    "threshold_step": (0.05, "reward-variance", {("reward_threshold", "+0.05", None, 0.3)}),
    "threshold_max": (0.4, "reward-variance", {("reward_threshold", "+0.02", None, 0.4)}),
    "overfitting_reward_rise": (0.012, "overfitting", set()),
    "overfitting_loss_rise": (0.052, "overfitting", set()),
    "overfitting_kl_factor": (1.05, "overfitting", {("kl_penalty", "x1.05", None, 0.25)}),
    "overfitting_kl_max": (0.35, "overfitting", {("kl_penalty", "x1.1", None, 0.35)}),
    "exploration_loss_fall": (0.06, "needs-exploration", set()),
    "exploration_reward_rise": (0.0, "needs-exploration", set()),
    "exploration_below_loss": (0.29, "needs-exploration", set()),
    "temperature_factor": (1.2, "needs-exploration", {("temperature", "x1.2", None, 1.5)}),
    "temperature_max": (2.0, "needs-exploration", {("temperature", "x1.1", None, 2.0)}),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_threshold_factor_and_bound_is_an_option(option: str) -> None:
    """Setting one option changes exactly the proposals of the rule it belongs to."""
    value, case, row = OPTIONS[option]
    rule, logs, _ = FIRES[case]

    played = epochs(*logs, **SIX).play(seed(**{option: value}))

    assert offers(played, because=rule) == row


def test_no_option_is_left_untested() -> None:
    """The table of options above names every one that the preset has."""
    assert set(OPTIONS) == {field.name for field in attrs.fields(SeedRules)}


GOLDEN = {"learning_rate": 4e-6, "kl_penalty": 0.15, "max_grad_norm": 0.3, "reward_threshold": 0.25}
MEAN, DEVIATION = 0.2485, math.sqrt(0.0748)
GOLDEN_EPOCHS = {
    "from the rewards": [
        {"loss": 0.4562, "reward": 0.2398},
        {"logs": 2, "loss": 0.8188, "reward": [MEAN - DEVIATION, MEAN + DEVIATION]},
    ],
    "from means and deviations": [
        {"loss": 0.4562, "reward": 0.2398, "reward_std": 0.1},
        {"loss": 0.8188, "reward": MEAN, "reward_std": DEVIATION},
    ],
}


@pytest.mark.parametrize("variance", GOLDEN_EPOCHS)
def test_the_golden_epoch(variance: str) -> None:
    """The origin's own epoch gives its four changes, to the printed value and percentage."""
    played = epochs(*GOLDEN_EPOCHS[variance], **GOLDEN).play(seed(variance_threshold=0.07))

    printed = {name: (f"{new:.10g}", f"{(new / old - 1) * 100:+.1f} %") for name, (old, new) in changes(played).items()}
    assert printed == {
        "learning_rate": ("3.2e-06", "-20.0 %"),
        "kl_penalty": ("0.18", "+20.0 %"),
        "max_grad_norm": ("0.24", "-20.0 %"),
        "reward_threshold": ("0.27", "+8.0 %"),
    }


@pytest.mark.parametrize("variance", GOLDEN_EPOCHS)
def test_the_figures_of_the_golden_epoch(variance: str) -> None:
    """Its check holds loss and reward with their changes and the variance; no reward rule fires, nor overfitting."""
    played = epochs(*GOLDEN_EPOCHS[variance], **GOLDEN).play(seed(variance_threshold=0.07))

    check = scheduled(played)[-1]
    names = ("loss", "loss_change", "reward", "reward_change", "reward_variance")
    assert [f"{check[name]:.4f}" for name in names] == ["0.8188", "0.3626", "0.2485", "0.0087", "0.0748"]
    assert rules(played) == ["loss-spike", "loss-rising", "loss-high", "reward-variance"]


def test_the_golden_variance_is_below_the_default_threshold() -> None:
    """With the default threshold of 0.08 the golden epoch leaves the reward threshold alone."""
    played = epochs(*GOLDEN_EPOCHS["from the rewards"], **GOLDEN).play(seed())

    assert set(changes(played)) == {"learning_rate", "kl_penalty", "max_grad_norm"}


@pytest.mark.parametrize(
    ("losses", "rewards", "loser", "change"),
    [
        ([0.40, 0.70], [0.20, 0.22], "overfitting", "x1.1"),
        ([0.10, 0.35], [0.30, 0.25], "reward-declining", "x0.9"),
    ],
)
def test_of_two_rivals_the_safer_wins(losses: list[float], rewards: list[float], loser: str, change: str) -> None:
    """The spike's KL x1.2 is made alone, once; the rival's proposal is journaled as lost, with winner and reason."""
    played = epochs(*both(losses, rewards), kl_penalty=0.15).play(seed())

    verdicts = {p.because: (p.change, p.verdict) for p in played.proposals if p.hyperparameter == "kl_penalty"}
    assert verdicts == {"loss-spike": ("x1.2", "applied"), loser: (change, "lost")}
    [reason] = [p.reason for p in played.proposals if (p.hyperparameter, p.verdict) == ("kl_penalty", "lost")]
    assert "x1.2 of trend-health (loss-spike) is preferred" in reason
    assert "the safer wins" in reason
    assert changes(played) == {"kl_penalty": (0.15, pytest.approx(0.18))}


def test_several_loss_rules_cut_the_rate_once() -> None:
    """Spike, rise and high loss in one epoch make x0.8, not x0.512; the two that lost say that changes do not stack."""
    played = epochs(*loss(0.4, 0.7), learning_rate=1e-4).play(seed())

    proposals = [p for p in played.proposals if p.hyperparameter == "learning_rate"]
    assert [(p.because, p.verdict) for p in proposals] == [
        ("loss-spike", "applied"),
        ("loss-rising", "lost"),
        ("loss-high", "lost"),
    ]
    assert all("do not stack" in p.reason for p in proposals[1:])
    assert changes(played) == {"learning_rate": (1e-4, pytest.approx(0.8e-4))}


def test_the_first_epoch_only_sets_the_baseline() -> None:
    """A first epoch with a high loss, a low reward and a high variance is checked and nothing is said of it."""
    played = a_run(8, **SIX).epoch(logs=2, loss=9.0, reward=[-1.0, 1.0]).play(seed())

    assert [check["reward_variance"] for check in scheduled(played)] == [1.0]
    assert (rules(played), offers(played)) == ([], set())
    assert played.errors == ()


def test_a_run_without_rewards_uses_the_loss_rules_alone() -> None:
    """Without a reward the loss rules work as ever and no rule on rewards is heard of."""
    played = epochs(*loss(0.2, 0.8, 0.1, 0.05), **SIX).play(seed())

    assert rules(played) == ["loss-spike", "loss-rising", "loss-high"]
    assert offers(played) == {LR, SPIKE_KL, CLIP}


def test_a_run_without_losses_uses_the_reward_rules_alone() -> None:
    """Where no loss is known a falling reward raises the reward weight and cannot lower the KL penalty."""
    played = epochs({"reward": 0.5}, {"reward": 0.4}, **SIX).play(seed())

    assert offers(played) == {WEIGHT}


@pytest.mark.parametrize("key", ["completion_length", "completions/mean_length", "frac_reward_zero_std"])
@pytest.mark.parametrize(
    ("loss_rules", "found"),
    [("auto", []), ("off", []), ("on", ["loss-spike", "loss-rising", "loss-high"])],
)
def test_loss_rules_of_a_policy_gradient_trainer(
    key: str, loss_rules: Literal["auto", "on", "off"], found: list[str]
) -> None:
    """Where the records' keys are those of GRPO or RLOO a rising loss is no ill health, unless `loss_rules: on`."""
    logs = [{"loss": value, "reward": 0.5, key: 0.1} for value in (0.1, 0.9)]

    played = epochs(*logs, **SIX).play(TrendHealth(preset="seed", loss_rules=loss_rules))

    assert rules(played) == found


def test_loss_rules_can_be_switched_off() -> None:
    """`loss_rules: off` silences the loss rules of any run and leaves those on the reward."""
    logs = both([0.1, 0.9], [0.5, 0.4])

    played = epochs(*logs, **SIX).play(TrendHealth(preset="seed", loss_rules="off"))

    assert rules(played) == ["reward-declining"]


def test_the_rewards_of_dpo_and_kto_are_no_reward() -> None:
    """Falling `rewards/*` and `eval_reward` fire no reward rule, and the check has no reward; the loss rules work."""
    names = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "eval_reward")
    logs = [{"loss": loss, **dict.fromkeys(names, reward)} for loss, reward in ((0.3, 0.5), (0.31, 0.1), (0.3, 0.1))]

    played = epochs(*logs, **SIX).play(seed())

    assert [check["reward"] for check in scheduled(played)] == [None, None, None]
    assert rules(played) == ["loss-rising"]


def test_the_means_of_uneven_logs_are_weighted_by_their_steps() -> None:
    """Losses 1.0 over 2 steps and 0.2 over 6 mean 0.4, which is no rise over 0.45; unweighted they would mean 0.6."""
    baseline = a_run(8, learning_rate=1e-4).epoch(loss=0.45)

    played = baseline.log(steps=2, loss=1.0).log(steps=6, loss=0.2).play(seed())

    assert [check["loss"] for check in scheduled(played)] == pytest.approx([0.45, 0.4])
    assert rules(played) == []


def test_the_rules_are_the_same_for_windows_of_steps() -> None:
    """A check every 4 steps, without an epoch in sight, fires as one each epoch does."""
    story = a_run(None, learning_rate=1e-4).log(steps=4, loss=0.2).log(steps=4, loss=0.41)

    played = story.play(seed(), check_every=4)

    assert rules(played) == ["loss-spike", "loss-rising"]


def test_a_partial_last_epoch_gives_findings_and_no_proposals() -> None:
    """What comes after the last whole epoch is looked at, but nothing is proposed for a run that is over."""
    played = a_run(8, learning_rate=1e-4).epoch(loss=0.2).log(steps=4, loss=0.3).play(seed())

    assert rules(played) == ["loss-rising"]
    assert played.of("check")[-1].data["reason"] == "end"
    assert offers(played) == set()


def test_a_change_that_no_step_would_feel_is_refused() -> None:
    """At the very last step of the plan a proposal is journaled as refused: no step is left that it could act on."""
    played = epochs(*loss(0.2, 0.3), learning_rate=1e-4).lasts(16).play(seed())

    [proposal] = played.proposals
    assert (proposal.verdict, proposal.reason) == ("refused", "no step is left that a change could act on")


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_outside_act_nothing_is_changed(mode: Literal["observe", "advise"]) -> None:
    """In `observe` and `advise` the proposals are journaled as advice and every value stays."""
    played = epochs(*loss(0.2, 0.3), learning_rate=1e-4).play(seed(), mode=mode)

    rulings = [(e.data["verdict"], e.data["old"], e.data["new"]) for e in played.of("proposal")]
    assert rulings == [("advised", 1e-4, pytest.approx(8e-5))]
    assert changes(played) == {}
    assert played.values == {"learning_rate": 1e-4}


def test_a_change_is_worded_and_signed_so_that_worse_is_plain() -> None:
    """Findings say `rose` and `fell` with a bare amount, never a sign that one has to interpret."""
    played = epochs(*both([0.1, 0.35], [0.30, 0.25])).play(seed())

    messages = {finding.name: finding.message for finding in played.findings}
    assert messages == {
        "loss-spike": "loss spiked by 0.2500 to 0.3500",
        "loss-rising": "loss rose by 0.2500 to 0.3500",
        "reward-declining": "reward fell by 0.0500 to 0.2500",
    }


def test_the_rules_of_the_origin_keep_no_snapshots() -> None:
    """They never roll back, so that nothing is kept for it; `guarded` may."""
    assert (TrendHealth(preset="seed").needs_snapshots, TrendHealth().needs_snapshots) == (False, True)
