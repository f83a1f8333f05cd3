"""`trend-health` with the preset `seed`: every rule of the specification, through the real Supervisor."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from steersman import RunPlan
from steersman_plugins.seed_rules import SeedRules

SEED = [{"trend-health": {"preset": "seed"}}]

LR = ("learning_rate", "x0.8", 1e-7, None)
CLIP = ("max_grad_norm", "x0.8", 0.1, None)
SPIKE_KL = ("kl_penalty", "x1.2", None, 0.3)
WEIGHT = ("reward_weight", "x1.15", None, 3.0)
LOWER_KL = ("kl_penalty", "x0.9", 0.05, None)
THRESHOLD = ("reward_threshold", "+0.02", None, 0.3)
OVERFITTING_KL = ("kl_penalty", "x1.1", None, 0.25)
WARMER = ("temperature", "x1.1", None, 1.5)


def seed(**options: float) -> list[Any]:
    return [{"trend-health": {"preset": "seed", "seed": options}}]


def loss(*values: float) -> list[dict[str, float]]:
    return [{"loss": value} for value in values]


def both(losses: list[float], rewards: list[float]) -> list[dict[str, float]]:
    return [{"loss": loss, "reward": reward} for loss, reward in zip(losses, rewards, strict=True)]


def spread(reward: float, deviation: float) -> list[dict[str, float]]:
    """Two logs with this mean and standard deviation of the reward."""
    return [{"reward": reward - deviation}, {"reward": reward + deviation}]


FIRES: dict[str, tuple[str, list[Any], set[tuple[str, str, float | None, float | None]]]] = {
    "loss-spike": ("loss-spike", loss(0.2, 0.4001), {LR, SPIKE_KL, CLIP}),
    "loss-rising": ("loss-rising", loss(0.2, 0.2001), {LR}),
    "loss-high": ("loss-high", loss(0.6, 0.5001), {LR}),
    "reward-declining": ("reward-declining", both([0.45, 0.45], [0.5, 0.49]), {WEIGHT}),
    "reward-declining, low loss": ("reward-declining", both([0.39, 0.39], [0.5, 0.49]), {WEIGHT, LOWER_KL}),
    "reward-stagnant": ("reward-stagnant", both([0.3] * 3, [0.2, 0.1, 0.209]), {WEIGHT}),
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
def test_a_rule_fires_and_proposes_its_row(tell: Any, epochs: Any, all_six: dict[str, float], case: str) -> None:
    """Each rule, just beyond its threshold, is found and proposes the changes of its row with the row's bounds."""
    rule, logs, row = FIRES[case]

    told = tell(SEED, epochs(*logs), values=all_six)

    assert rule in told.rules()
    assert told.offers(because=rule) == row


@pytest.mark.parametrize("case", SILENT)
def test_a_rule_just_does_not_fire(tell: Any, epochs: Any, all_six: dict[str, float], case: str) -> None:
    """At the threshold itself, or one condition short, the rule says and proposes nothing."""
    rule, logs = SILENT[case]

    told = tell(SEED, epochs(*logs), values=all_six)

    assert len(told.of("check", reason="scheduled")) == len(logs)
    assert rule not in told.rules()
    assert told.offers(because=rule) == set()


def test_declining_reward_at_a_loss_of_exactly_0_4_leaves_the_kl_penalty(
    tell: Any, epochs: Any, all_six: dict[str, float]
) -> None:
    """The KL penalty is lowered below a loss of 0.4, not at it; the reward weight is raised in both."""
    told = tell(SEED, epochs(*both([0.4, 0.4], [0.5, 0.4])), values=all_six)

    assert told.offers() == {WEIGHT}


def test_a_variance_of_exactly_the_threshold_is_not_high(tell: Any, epochs: Any) -> None:
    """Rewards 0.25 and 0.75 vary by exactly 0.0625, which is not above a threshold of 0.0625 but above 0.062."""
    logs = [spread(0.5, 0.25), spread(0.5, 0.25)]

    at, below = (tell(seed(variance_threshold=v), epochs(*logs)).rules() for v in (0.0625, 0.062))

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
def test_a_bound_shortens_a_change(
    tell: Any, epochs: Any, case: str, hyperparameter: str, old: float, new: float
) -> None:
    """Near its bound a change goes to the bound and no further."""
    told = tell(SEED, epochs(*FIRES[case][1]), values={hyperparameter: old})

    assert told.changes() == {hyperparameter: (old, new)}


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
def test_a_bound_never_reverses_a_change(tell: Any, epochs: Any, case: str, hyperparameter: str, value: float) -> None:
    """At or beyond its bound a change is refused with the reason, and the value stays: 0.28 x1.1 is not 0.25."""
    told = tell(SEED, epochs(*FIRES[case][1]), values={hyperparameter: value})

    refused = told.of("proposal", hyperparameter=hyperparameter, because=FIRES[case][0])
    assert [(p["verdict"], "already at its bound" in p["reason"]) for p in refused] == [("refused", True)]
    assert told.changes() == {}


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
def test_every_threshold_factor_and_bound_is_an_option(
    tell: Any, epochs: Any, all_six: dict[str, float], option: str
) -> None:
    """Setting one option changes exactly the proposals of the rule it belongs to."""
    value, case, row = OPTIONS[option]
    rule, logs, _ = FIRES[case]

    told = tell(seed(**{option: value}), epochs(*logs), values=all_six)

    assert told.offers(because=rule) == row


def test_no_option_is_left_untested() -> None:
    """The table of options above names every one that the preset has."""
    assert set(OPTIONS) == {field.name for field in attrs.fields(SeedRules)}


GOLDEN = {"learning_rate": 4e-6, "kl_penalty": 0.15, "max_grad_norm": 0.3, "reward_threshold": 0.25}
MEAN, DEVIATION = 0.2485, math.sqrt(0.0748)
GOLDEN_EPOCHS = {
    "from the rewards": [
        [{"loss": 0.4562, "reward": 0.2398}],
        [{"loss": 0.8188, "reward": MEAN - DEVIATION}, {"loss": 0.8188, "reward": MEAN + DEVIATION}],
    ],
    "from means and deviations": [
        {"loss": 0.4562, "reward": 0.2398, "reward_std": 0.1},
        {"loss": 0.8188, "reward": MEAN, "reward_std": DEVIATION},
    ],
}


@pytest.mark.parametrize("variance", GOLDEN_EPOCHS)
def test_the_golden_epoch(tell: Any, epochs: Any, variance: str) -> None:
    """The origin's own epoch gives its four changes, to the printed value and percentage."""
    told = tell(seed(variance_threshold=0.07), epochs(*GOLDEN_EPOCHS[variance]), values=GOLDEN)

    printed = {name: (f"{new:.10g}", f"{(new / old - 1) * 100:+.1f} %") for name, (old, new) in told.changes().items()}
    assert printed == {
        "learning_rate": ("3.2e-06", "-20.0 %"),
        "kl_penalty": ("0.18", "+20.0 %"),
        "max_grad_norm": ("0.24", "-20.0 %"),
        "reward_threshold": ("0.27", "+8.0 %"),
    }


@pytest.mark.parametrize("variance", GOLDEN_EPOCHS)
def test_the_figures_of_the_golden_epoch(tell: Any, epochs: Any, variance: str) -> None:
    """Its check holds loss and reward with their changes and the variance; no reward rule fires, nor overfitting."""
    told = tell(seed(variance_threshold=0.07), epochs(*GOLDEN_EPOCHS[variance]), values=GOLDEN)

    check = told.of("check", reason="scheduled")[-1]
    names = ("loss", "loss_change", "reward", "reward_change", "reward_variance")
    assert [f"{check[name]:.4f}" for name in names] == ["0.8188", "0.3626", "0.2485", "0.0087", "0.0748"]
    assert told.rules() == ["loss-spike", "loss-rising", "loss-high", "reward-variance"]


def test_the_golden_variance_is_below_the_default_threshold(tell: Any, epochs: Any) -> None:
    """With the default threshold of 0.08 the golden epoch leaves the reward threshold alone."""
    told = tell(SEED, epochs(*GOLDEN_EPOCHS["from the rewards"]), values=GOLDEN)

    assert set(told.changes()) == {"learning_rate", "kl_penalty", "max_grad_norm"}


@pytest.mark.parametrize(
    ("losses", "rewards", "loser", "change"),
    [
        ([0.40, 0.70], [0.20, 0.22], "overfitting", "x1.1"),
        ([0.10, 0.35], [0.30, 0.25], "reward-declining", "x0.9"),
    ],
)
def test_of_two_rivals_the_safer_wins(
    tell: Any, epochs: Any, losses: list[float], rewards: list[float], loser: str, change: str
) -> None:
    """The spike's KL x1.2 is made alone, once; the rival's proposal is journaled as lost, with winner and reason."""
    told = tell(SEED, epochs(*both(losses, rewards)), values={"kl_penalty": 0.15})

    verdicts = {p["because"]: (p["change"], p["verdict"]) for p in told.of("proposal", hyperparameter="kl_penalty")}
    assert verdicts == {"loss-spike": ("x1.2", "applied"), loser: (change, "lost")}
    [lost] = told.of("proposal", hyperparameter="kl_penalty", verdict="lost")
    assert "x1.2 of trend-health (loss-spike) is preferred" in lost["reason"]
    assert "the safer wins" in lost["reason"]
    assert told.changes() == {"kl_penalty": (0.15, pytest.approx(0.18))}


def test_several_loss_rules_cut_the_rate_once(tell: Any, epochs: Any) -> None:
    """Spike, rise and high loss in one epoch make x0.8, not x0.512; the two that lost say that changes do not stack."""
    told = tell(SEED, epochs(*loss(0.4, 0.7)), values={"learning_rate": 1e-4})

    proposals = told.of("proposal", hyperparameter="learning_rate")
    assert [(p["because"], p["verdict"]) for p in proposals] == [
        ("loss-spike", "applied"),
        ("loss-rising", "lost"),
        ("loss-high", "lost"),
    ]
    assert all("do not stack" in p["reason"] for p in proposals[1:])
    assert told.changes() == {"learning_rate": (1e-4, pytest.approx(0.8e-4))}


def test_the_first_epoch_only_sets_the_baseline(tell: Any, epochs: Any, all_six: dict[str, float]) -> None:
    """A first epoch with a high loss, a low reward and a high variance is checked and nothing is said of it."""
    first = [{"loss": 9.0, "reward": -1.0}, {"loss": 9.0, "reward": 1.0}]

    told = tell(SEED, epochs(first), values=all_six)

    assert [check["reward_variance"] for check in told.of("check", reason="scheduled")] == [1.0]
    assert (told.rules(), told.offers()) == ([], set())
    assert told.of("error") == []


def test_a_run_without_rewards_uses_the_loss_rules_alone(tell: Any, epochs: Any, all_six: dict[str, float]) -> None:
    """Without a reward the loss rules work as ever and no rule on rewards is heard of."""
    told = tell(SEED, epochs(*loss(0.2, 0.8, 0.1, 0.05)), values=all_six)

    assert told.rules() == ["loss-spike", "loss-rising", "loss-high"]
    assert told.offers() == {LR, SPIKE_KL, CLIP}


def test_a_run_without_losses_uses_the_reward_rules_alone(tell: Any, epochs: Any, all_six: dict[str, float]) -> None:
    """Where no loss is known a falling reward raises the reward weight and cannot lower the KL penalty."""
    told = tell(SEED, epochs({"reward": 0.5}, {"reward": 0.4}), values=all_six)

    assert told.offers() == {WEIGHT}


@pytest.mark.parametrize("key", ["completion_length", "completions/mean_length", "frac_reward_zero_std"])
@pytest.mark.parametrize(
    ("loss_rules", "found"),
    [("auto", []), ("off", []), ("on", ["loss-spike", "loss-rising", "loss-high"])],
)
def test_loss_rules_of_a_policy_gradient_trainer(
    tell: Any, epochs: Any, all_six: dict[str, float], key: str, loss_rules: str, found: list[str]
) -> None:
    """Where the records' keys are those of GRPO or RLOO a rising loss is no ill health, unless `loss_rules: on`."""
    logs = [{"loss": value, "reward": 0.5, key: 0.1} for value in (0.1, 0.9)]

    told = tell([{"trend-health": {"preset": "seed", "loss_rules": loss_rules}}], epochs(*logs), values=all_six)

    assert told.rules() == found


def test_loss_rules_can_be_switched_off(tell: Any, epochs: Any, all_six: dict[str, float]) -> None:
    """`loss_rules: off` silences the loss rules of any run and leaves those on the reward."""
    logs = both([0.1, 0.9], [0.5, 0.4])

    told = tell([{"trend-health": {"preset": "seed", "loss_rules": "off"}}], epochs(*logs), values=all_six)

    assert told.rules() == ["reward-declining"]


def test_the_rewards_of_dpo_and_kto_are_no_reward(tell: Any, epochs: Any, all_six: dict[str, float]) -> None:
    """Falling `rewards/*` and `eval_reward` fire no reward rule, and the check has no reward; the loss rules work."""
    names = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "eval_reward")
    logs = [{"loss": loss, **dict.fromkeys(names, reward)} for loss, reward in ((0.3, 0.5), (0.31, 0.1), (0.3, 0.1))]

    told = tell(SEED, epochs(*logs), values=all_six)

    assert [check["reward"] for check in told.of("check", reason="scheduled")] == [None, None, None]
    assert told.rules() == ["loss-rising"]


def test_the_means_of_uneven_logs_are_weighted_by_their_steps(tell: Any, epochs: Any) -> None:
    """Losses 1.0 over 2 steps and 0.2 over 6 mean 0.4, which is no rise over 0.45; unweighted they would mean 0.6."""
    [baseline] = epochs({"loss": 0.45})
    short, long = (attrs.evolve(baseline, step=s, epoch=s / 8, metrics={"loss": v}) for s, v in ((10, 1.0), (16, 0.2)))

    told = tell(SEED, [baseline, short, long], values={"learning_rate": 1e-4})

    assert [check["loss"] for check in told.of("check", reason="scheduled")] == pytest.approx([0.45, 0.4])
    assert told.rules() == []


def test_the_rules_are_the_same_for_windows_of_steps(tell: Any, epochs: Any) -> None:
    """A check every 4 steps, without an epoch in sight, fires as one each epoch does."""
    logs = [attrs.evolve(record, epoch=None) for record in epochs(loss(0.2, 0.41))]

    told = tell(SEED, logs, values={"learning_rate": 1e-4}, check_every=4)

    assert told.rules() == ["loss-spike", "loss-rising"]


def test_a_partial_last_epoch_gives_findings_and_no_proposals(tell: Any, epochs: Any) -> None:
    """What comes after the last whole epoch is looked at, but nothing is proposed for a run that is over."""
    records = epochs(*loss(0.2, 0.3))
    records[-1] = attrs.evolve(records[-1], step=12, epoch=1.5)

    told = tell(SEED, records, values={"learning_rate": 1e-4})

    assert told.rules() == ["loss-rising"]
    assert told.of("check")[-1]["reason"] == "end"
    assert told.offers() == set()


def test_a_change_that_no_step_would_feel_is_refused(tell: Any, epochs: Any) -> None:
    """At the very last step of the plan a proposal is journaled as refused: no step is left that it could act on."""
    told = tell(SEED, epochs(*loss(0.2, 0.3)), values={"learning_rate": 1e-4}, plan=RunPlan(total_steps=16))

    [proposal] = told.of("proposal")
    assert (proposal["verdict"], proposal["reason"]) == ("refused", "no step is left that a change could act on")


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_outside_act_nothing_is_changed(tell: Any, epochs: Any, mode: str) -> None:
    """In `observe` and `advise` the proposals are journaled as advice and every value stays."""
    told = tell(SEED, epochs(*loss(0.2, 0.3)), values={"learning_rate": 1e-4}, mode=mode)

    assert [(p["verdict"], p["old"], p["new"]) for p in told.of("proposal")] == [("advised", 1e-4, pytest.approx(8e-5))]
    assert told.changes() == {}
    assert told.supervisor.registry.get("learning_rate").value == 1e-4


def test_a_change_is_worded_and_signed_so_that_worse_is_plain(tell: Any, epochs: Any) -> None:
    """Findings say `rose` and `fell` with a bare amount, never a sign that one has to interpret."""
    told = tell(SEED, epochs(*both([0.1, 0.35], [0.30, 0.25])))

    messages = {finding["name"]: finding["message"] for finding in told.of("finding")}
    assert messages == {
        "loss-spike": "loss spiked by 0.2500 to 0.3500",
        "loss-rising": "loss rose by 0.2500 to 0.3500",
        "reward-declining": "reward fell by 0.0500 to 0.2500",
    }
