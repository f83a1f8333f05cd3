"""`rl-health`: each rule fires just beyond its limit and not at it, through the real Supervisor."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from trend_health_words import epochs, rules

import steersman
from steersman import replay
from steersman.config.errors import ConfigError
from steersman.testing import Played, a_run
from steersman_plugins.rl_health import RlHealth

RUNS = Path(__file__).parents[1] / "runs"
Logs = list[dict[str, Any]]


def of(name: str, *values: float, **more: Any) -> Logs:
    """One log a window: a metric beside a reward of 0.5, unless `more` says another."""
    return [{"loss": 0.0, "reward": 0.5, **more, name: value} for value in values]


def rewards(*values: float, **more: Any) -> Logs:
    return [{"loss": 0.0, **more, "reward": value} for value in values]


def each(*logs: tuple[float, float], name: str) -> Logs:
    return [{"reward": reward, name: value} for reward, value in logs]


CLIMB = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Rises by 0.1 a window: no noise, a progress of 0.5, so that 12 % of it, 0.06, is the limit of a fall."""
FLAT = (0.5, 0.52) * 5
"""No trend: z of the ten is 0.4, and the halves of the newest eight are the same."""
ARRIVED = (0.1, 0.2, 0.3, 0.4, *(0.5,) * 8)
NINE = tuple(n / 10 for n in range(1, 10))
LENGTHS = [{"reward": 0.5, "response_length/mean": 50.0, "response_length/max": 100.0}] * 5

FIRES: dict[str, tuple[str, str, Logs, dict[str, Any]]] = {
    "fell by 0.07 twice": ("reward-declining", "warning", rewards(*CLIMB, 0.53, 0.53), {}),
    "never rose": ("reward-stagnant", "warning", rewards(*FLAT), {}),
    "has arrived perhaps": ("reward-stagnant", "info", rewards(*ARRIVED), {}),
    "stands far from the top": ("reward-stagnant", "info", rewards(*ARRIVED), {"reward_range": (0.0, 1.0)}),
    "variance 0.0301 after 0.01": (
        "reward-variance", "warning", of("reward_std", *[0.1] * 6, *[math.sqrt(0.0301)] * 2), {},
    ),
    "held-out score is flat": (
        "reward-without-held-out", "warning", each(*((r, 0.5) for r in NINE), name="truth"), {"held_out": ("truth",)},
    ),
    "held-out score creeps up": (
        "reward-without-held-out", "warning", each(*((r, 0.4 + 1e-5 * r) for r in NINE), name="truth"), {"held_out": ("truth",)},
    ),
    "held-out score of 100 moves by 0.42": (
        "reward-without-held-out", "warning", each(*((r, 100 + 0.6 * r) for r in NINE), name="truth"), {"held_out": ("truth",)},
    ),
    "held-out score falls": (
        "reward-without-held-out", "warning", each(*((r, -r) for r in NINE), name="truth"), {"held_out": ("truth",)},
    ),
    "KL is above 5 twice": ("kl-runaway", "critical", of("kl", 5.01, 5.01), {}),
    "KL is above 4 times its median": ("kl-runaway", "critical", of("kl", *[0.1] * 6, 0.41, 0.41), {}),
    "KL of PPO": ("kl-runaway", "critical", of("objective/kl", *[0.1] * 6, 0.41, 0.41), {}),
    "entropy falls ever faster": ("entropy-collapse", "warning", of("entropy", 2.0, 1.9, 1.8, 1.4, 0.9), {}),
    "entropy below a tenth": ("entropy-collapse", "warning", of("entropy", 2.0, *[1.0] * 5, 0.19, 0.19), {}),
    "all right": (
        "groups-all-right", "info", each((0.2, 0), (0.5, 0), (0.9, 0.9), (0.9, 0.9), name="frac_reward_zero_std"), {},
    ),
    "all wrong": (
        "groups-all-wrong", "warning", each((0.9, 0), (0.5, 0), (0.2, 0.9), (0.2, 0.9), name="frac_reward_zero_std"), {},
    ),
    "all alike in the middle": (
        "groups-all-alike", "warning", each((0.2, 0), (0.9, 0), (0.5, 0.9), (0.5, 0.9), name="frac_reward_zero_std"), {},
    ),
    "all alike from the begin": ("groups-all-alike", "warning", of("frac_reward_zero_std", 1.0, 1.0), {}),
    "all right of a known range": (
        "groups-all-right", "info", of("frac_reward_zero_std", 1.0, 1.0, reward=0.9), {"reward_range": (0.0, 1.0)},
    ),
    "all wrong of a known range": (
        "groups-all-wrong", "warning", of("frac_reward_zero_std", 1.0, 1.0, reward=0.1), {"reward_range": (0.0, 1.0)},
    ),
    "some right and some wrong": (
        "groups-all-alike", "warning",
        [{"reward": 0.2, "frac_reward_zero_std": 0.0, "reward_std": 0.4}]
        + [{"reward": 0.6, "frac_reward_zero_std": 1.0, "reward_std": 0.49}] * 2, {},
    ),
    "verl: the lowest is the highest": (
        "groups-all-alike", "warning", rewards(-1.0, -1.0, **{"critic/rewards/min": -1.0, "critic/rewards/max": -1.0}), {},
    ),
    "half is cut off": ("completions-at-limit", "warning", of("completions/clipped_ratio", 0.1, 0.1, 0.5, 0.5), {}),
    "lengths near the longest": (
        "completions-at-limit", "warning", [*LENGTHS, *[{**LENGTHS[0], "response_length/mean": 90.0}] * 2], {},
    ),
    "no reward twice": ("reward-missing", "warning", [*rewards(0.5, 0.5), *[{"loss": 0.0}] * 2], {}),
    "no number twice": ("reward-missing", "warning", [*rewards(0.5, 0.5), *rewards(math.nan, math.nan)], {}),
    "three after every second": (
        "reward-missing", "warning", [*[{"reward": 0.5}, {"loss": 0.0}] * 3, *[{"loss": 0.0}] * 2], {},
    ),
    "three in ten are clipped": ("clip-saturation", "warning", of("clip_ratio/region_mean", 0.3, 0.3), {}),
    "clipped as verl says it": ("clip-saturation", "warning", of("actor/pg_clipfrac", 0.3, 0.3), {}),
    "clipped as TRL said it": ("clip-saturation", "warning", of("clip_ratio", 0.3, 0.3), {}),
}  # fmt: skip

SILENT: dict[str, tuple[str, Logs, dict[str, Any]]] = {
    "fell by 0.05 and then 0.07": ("reward-declining", rewards(*CLIMB, 0.55, 0.53), {}),
    "fell by 0.07 once": ("reward-declining", rewards(*CLIMB, 0.6, 0.53), {}),
    "fell in seven windows": ("reward-declining", rewards(*CLIMB[:5], 0.1, 0.1), {}),
    "nine windows": ("reward-stagnant", rewards(*FLAT[:9]), {}),
    "rises": ("reward-stagnant", rewards(*NINE, 1.0), {}),
    "moved by a little more": ("reward-stagnant", rewards(*ARRIVED[:8], *[0.556] * 4), {}),
    "arrived at the top": ("reward-stagnant", rewards(*ARRIVED), {"reward_range": (0.0, 0.55)}),
    "variance 0.0299 after 0.01": ("reward-variance", of("reward_std", *[0.1] * 6, *[math.sqrt(0.0299)] * 2), {}),
    "variance once": ("reward-variance", of("reward_std", *[0.1] * 7, 0.9), {}),
    "variance was there before": ("reward-variance", of("reward_std", 0.5, *[0.1] * 6, 0.4, 0.4), {}),
    "held-out score rises at the end": (
        "reward-without-held-out",
        each(*((r, 0.5) for r in NINE[:8]), (0.9, 0.51), name="truth"), {"held_out": ("truth",)},
    ),
    "held-out score of 100 moves by 0.49": (
        "reward-without-held-out", each(*((r, 100 + 0.7 * r) for r in NINE), name="truth"), {"held_out": ("truth",)},
    ),
    "eight windows": (
        "reward-without-held-out", each(*((r, 0.5) for r in NINE[:8]), name="truth"), {"held_out": ("truth",)},
    ),
    "reward and held-out score are flat": (
        "reward-without-held-out", each(*[(0.5, 0.5)] * 12, name="truth"), {"held_out": ("truth",)},
    ),
    "KL is 5": ("kl-runaway", of("kl", 5.01, 5.0), {}),
    "KL is 4 times its median": ("kl-runaway", of("kl", *[0.125] * 6, 0.51, 0.5), {}),
    "KL below its floor": ("kl-runaway", of("kl", *[0.01] * 6, 0.2, 0.2), {}),
    "KL for a reward": ("kl-runaway", each(*[(0.5, 0.1)] * 6, (0.6, 0.9), (0.7, 0.9), name="kl"), {}),
    "KL of one odd completion": ("kl-runaway", [{"logs": 4, "reward": 0.5, "kl": [0.1, 0.1, 0.1, 40.0]}] * 9, {}),
    "KL was high and falls": ("kl-runaway", of("kl", 9.0, *[0.1] * 8), {}),
    "entropy falls evenly": ("entropy-collapse", of("entropy", 2.0, 1.5, 1.1, 0.82, 0.62), {}),
    "entropy falls ever faster from far up": ("entropy-collapse", of("entropy", 2.0, 2.0, 2.0, 1.5, 1.1), {}),
    "entropy of a tenth": ("entropy-collapse", of("entropy", 2.0, *[1.0] * 5, 0.2, 0.2), {}),
    "entropy was always low": ("entropy-collapse", of("entropy", *[0.01] * 9), {}),
    "groups of 0.89": ("groups-all-alike", of("frac_reward_zero_std", 0.95, 0.89), {}),
    "verl: one is better": (
        "groups-all-alike", rewards(-1.0, -1.0, **{"critic/rewards/min": -1.0, "critic/rewards/max": -0.5}), {},
    ),
    "0.49 cut off": ("completions-at-limit", of("completions/clipped_ratio", 0.1, 0.1, 0.5, 0.49), {}),
    "cut off from the begin": ("completions-at-limit", of("completions/clipped_ratio", *[0.9] * 8), {}),
    "lengths a little shorter": (
        "completions-at-limit", [*LENGTHS, *[{**LENGTHS[0], "response_length/mean": 89.0}] * 2], {},
    ),
    "the longest still grow": (
        "completions-at-limit",
        [*LENGTHS, *({"reward": 0.5, "response_length/mean": n, "response_length/max": n + 1.0} for n in (110.0, 120.0))], {},
    ),
    "no reward once": ("reward-missing", [*rewards(0.5, 0.5), {"loss": 0.0}], {}),
    "rewards in every third window": ("reward-missing", [{"reward": 0.5}, *[{"loss": 0.0}] * 2] * 4, {}),
    "two after every second": ("reward-missing", [*[{"reward": 0.5}, {"loss": 0.0}] * 3, {"loss": 0.0}], {}),
    "evaluations alone": ("reward-missing", [*rewards(0.5, 0.5), *[{"eval_loss": 1.0}] * 2], {}),
    "0.295 clipped": ("clip-saturation", of("clip_ratio/region_mean", 0.3, 0.29), {}),
}  # fmt: skip


def played(logs: Logs, options: dict[str, Any] | None = None) -> Played:
    return epochs(*logs).play(RlHealth(**(options or {})))


@pytest.mark.parametrize("case", FIRES)
def test_a_rule_fires(case: str) -> None:
    """Just beyond its limit a rule is found in the last window, with its severity, figures and a direction in words."""
    name, severity, logs, options = FIRES[case]

    told = played(logs, options)

    found = [f for f in told.findings if f.name == name]
    assert (found[-1].step, found[-1].severity) == (8 * len(logs), severity)
    assert any(
        word in found[-1].message for word in ("fell by", "rose by", "grew by", "stood at", "did not rise", "no reward")
    )
    assert any(isinstance(value, float) for value in found[-1].evidence.values())
    assert (told.proposals, told.errors) == ((), ())


@pytest.mark.parametrize("case", SILENT)
def test_a_rule_just_does_not_fire(case: str) -> None:
    """At the limit, or one condition short, the rule says nothing."""
    name, logs, options = SILENT[case]

    told = played(logs, options)

    assert name not in rules(told)
    assert told.errors == ()


@pytest.mark.parametrize(("has_std", "found_in"), [(False, 0), (True, 40)])
def test_variance_is_that_within_batches(has_std: bool, found_in: int) -> None:
    """A rise with noise of 0.02, four logs a window, is no high variance in 40 seeds; a standard deviation that doubles is."""
    courses = 0
    for seed in range(40):
        chance = random.Random(seed)
        values = [0.2 + 0.6 * step / 80 + chance.gauss(0.0, 0.02) for step in range(1, 81)]
        story = a_run(4)
        for at in range(0, 80, 4):
            more = {"reward_std": 0.1 if at < 60 else 0.2} if has_std else {}
            story = story.epoch(logs=4, reward=values[at : at + 4], **more)
        courses += "reward-variance" in rules(story.play(RlHealth))

    assert courses == found_in


def test_the_figures_of_a_fall() -> None:
    """From the best, 0.6, to 0.53 are 0.07; 12 % of the progress from 0.1 to 0.6 are 0.06."""
    [found] = [f for f in played(rewards(*CLIMB, 0.53, 0.53)).findings if f.name == "reward-declining"]

    assert found.evidence == {
        "reward": 0.53,
        "fell_by": pytest.approx(0.07),
        "limit": pytest.approx(0.06),
    }
    assert found.message == "reward fell by 0.07 from its best, to 0.53; noise and progress explain 0.06"


@pytest.mark.parametrize(
    ("logs", "name", "said"),
    [
        (of("frac_reward_zero_std", 1.0, 1.0), "groups-all-alike", "groups with one reward throughout stood at 100% of all"),
        (of("frac_reward_zero_std", 0.996, 1.0), "groups-all-alike", "throughout stood at 100% of all"),
        (of("frac_reward_zero_std", 0.9, 1.0), "groups-all-alike", "throughout rose by 10% to 100% of all"),
        (of("clip_ratio", 0.4, 0.4), "clip-saturation", "the share of clipped tokens, whose update is lost, stood at 40%"),
        (of("clip_ratio", 0.5, 0.4), "clip-saturation", "whose update is lost, fell by 10% to 40%"),
        (of("kl", 5.5, 5.5), "kl-runaway", "KL stood at 5.5, above 5"),
        (of("kl", 5.5, 6.5), "kl-runaway", "KL rose by 1 to 6.5, above 5"),
        (rewards(*[0.5] * 10), "reward-stagnant", "reward stood at 0.5 in 8 windows, no more; over all 10 windows it shows no rise"),
        (each(*((r, 0.4 + 1e-5 * r) for r in NINE), name="truth"), "reward-without-held-out", "while truth stood at 0.4"),
    ],
)  # fmt: skip
def test_what_does_not_move_stood(logs: Logs, name: str, said: str) -> None:
    """A change that would read as 0 is told as `stood at`, any other with its size and where it led."""
    found = [f.message for f in played(logs, {"held_out": ("truth",)}).findings if f.name == name]

    assert said in found[-1]
    assert " by 0 " not in found[-1] and " by 0% " not in found[-1]


@pytest.mark.parametrize(
    ("course", "severity", "said"),
    [
        (FLAT, "warning", "over all 10 windows it shows no rise"),
        (
            (0.1, 0.3, 0.5, 0.3, *[0.1] * 8),
            "warning",
            "over all 12 windows it shows no rise, though it was at 0.5 once",
        ),
        ((0.5, 0.4, 0.3, 0.2, *[0.1] * 8), "warning", "over all 12 windows it shows no rise"),
        (ARRIVED, "info", "it rose by 0.4 before, and may have arrived"),
        ((0.9, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, *[0.5] * 8), "info", "it rose before, and may have arrived"),
    ],
)
def test_what_came_before_a_flat_reward(course: tuple[float, ...], severity: str, said: str) -> None:
    """A rise that was lost again is no "never", a fall is no rise, and a first window above all gives no size."""
    found = [f for f in played(rewards(*course)).findings if f.name == "reward-stagnant"][-1]

    assert (found.severity, found.message.partition("no more; ")[2]) == (severity, said)


def test_keys_that_come_at_generations_only() -> None:
    """Rewards in every second window are compared with one another; a window without one judges what it has."""
    gaps = [log for reward in (*CLIMB, 0.53, 0.53) for log in ({"reward": reward}, {"loss": 0.0})]
    clipped = [*of("clip_ratio/region_mean", 0.4), {"loss": 0.0, "clip_ratio/region_mean": 0.4}]

    assert [f.step for f in played(gaps).findings] == [8 * 15]
    assert [f.step for f in played(clipped).findings if f.name == "clip-saturation"] == [16]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_left_out(bad: float) -> None:
    """A window whose metrics are NaN or infinite says nothing, and the rules go on around it."""
    odd = dict.fromkeys(
        ("reward", "kl", "entropy", "frac_reward_zero_std", "clip_ratio/region_mean", "reward_std"), bad
    )
    told = played([*rewards(*CLIMB, 0.53), odd, *rewards(0.53)])

    assert [(f.name, f.step) for f in told.findings if f.name == "reward-declining"] == [("reward-declining", 72)]
    assert told.errors == ()


def test_a_log_may_have_none(tmp_path: Path) -> None:
    """`reward: null`, as TRL writes it where no completion could be scored, is no reward."""
    log = [{"step": s, "loss": 0.0, "reward": None if s % 3 == 0 else s / 10, "kl": None} for s in range(1, 21)]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": log, "max_steps": 20}))

    told = replay(tmp_path / "trainer_state.json", {"extends": [], "use": [RlHealth()]})

    assert told.of("error") == ()
    assert [f for f in told.findings if f.severity != "info"] == []


@pytest.mark.parametrize("last", [{"reward": None}, {"loss": 0.0, "reward": None}, {"loss": 0.0}])
def test_a_reward_that_vanishes(last: dict[str, Any], tmp_path: Path) -> None:
    """After step 40 every log has null for a reward, or none: with a check each 4 steps it is found at step 48."""
    log = [{"step": s, "loss": 0.0, "reward": 0.5} if s <= 40 else {"step": s, **last} for s in range(1, 51)]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": log, "max_steps": 50}))

    told = replay(
        tmp_path / "trainer_state.json", {"extends": [], "use": [RlHealth()], "check_every": "4 steps"}
    )  # fmt: skip

    [found] = [f for f in told.findings if f.name == "reward-missing"]
    assert (found.step, found.severity) == (48, "warning")
    assert found.evidence == {"windows": 2, "newest_step": 40, "reward": 0.5}
    assert found.message == "no reward in the newest 2 windows, though logs came; the newest reward came by step 40"


@pytest.mark.parametrize(
    "logs",
    [
        [{"loss": 2.0, "entropy": 1.0, "kl": 99.0}, {"loss": 2.0, "entropy": 0.0, "kl": 99.0}] * 8,
        [{"loss": 0.6, "rewards/chosen": 0.1, "rewards/margins": 0.1, "kl": 99.0}] * 12,
    ],
)
def test_a_run_without_rewards_is_none_of_its(logs: Logs) -> None:
    """SFT logs an entropy and KTO a KL and `rewards/...`, and neither has a policy that is trained on rewards."""
    assert rules(played(logs)) == []


def test_what_is_left_out_is_not_found() -> None:
    """`leave_out` names findings that another strategy makes."""
    logs = rewards(*CLIMB, 0.53, 0.53, **{"clip_ratio": 0.4})

    assert set(rules(played(logs))) == {"reward-declining", "clip-saturation"}
    assert set(rules(played(logs, {"leave_out": ("reward-declining",)}))) == {"clip-saturation"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reward_range": [1, 0]}, "the lowest reward must be below the highest, got 1 and 0"),
        ({"leave_out": ["reward-declinig"]}, "reward-declinig"),
        ({"rules": {"alike_share": 1.5}}, "alike_share"),
    ],
)
def test_a_wrong_option_is_told_before_training(options: dict[str, Any], said: str) -> None:
    """A range the wrong way round, a finding that there is not, and a share above 1 are errors of the config."""
    config = {"extends": [], "use": [{"rl-health": options}]}
    with pytest.raises(ConfigError, match=said):
        replay(RUNS / "trainer_state" / "unslothgrpo-01.json", config)


def test_a_held_out_score_that_never_comes_is_named() -> None:
    """A misspelt name under `held_out` is told at the end of the run."""
    told = a_run(8).epoch(reward=0.5).play(RlHealth(held_out=("rewards/truht/mean",)))

    [end] = told.of("end")
    assert "rewards/truht/mean" in end.data["never_came"]


def test_it_is_named_by_a_loop_and_by_its_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A loop of 12 steps with rewards says at its end what never came under `held_out`, and so does its replay."""
    torch = pytest.importorskip("torch")
    config = {"extends": [], "use": [{"rl-health": {"held_out": ["nosuch"]}}], "check_every": "4 steps"}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1)

    loop = steersman.attach(optimizer, config, folder=tmp_path, total_steps=12)
    for step in range(1, 13):
        loop.log(step, loss=0.0, reward=step / 12)
    loop.close()

    assert "the metric 'nosuch' was asked for and never came" in capsys.readouterr().out
    assert replay(tmp_path, config).summary["never_came"] == {"nosuch": None}


def test_a_reward_without_weight_is_held_out() -> None:
    """A reward function whose weight is 0 is not trained on: that its score falls while the reward rises is found."""
    logs = each(*((r, -r) for r in NINE), name="rewards/truth/mean")

    told = [
        epochs(*logs, **{"reward_weight[truth]": weight}).play(RlHealth, mode="observe") for weight in (0.0, 1.0)
    ]  # fmt: skip

    assert ["reward-without-held-out" in rules(one) for one in told] == [True, False]


def test_a_change_of_temperature_begins_anew_by_itself() -> None:
    """With `restart_baselines` off too, rewards before and after a change of temperature are not compared."""
    from steersman import Adjust, Check, hookimpl

    class Cooler:
        @hookimpl
        def propose_adjustments(self, check: Check) -> Adjust | None:
            return Adjust("temperature", scale=0.9, because="a test") if check.step == 48 else None

    logs = rewards(*CLIMB, 0.3, 0.3, 0.3, 0.3)
    alone = epochs(*logs, temperature=1.0).play(RlHealth)
    changed = epochs(*logs, temperature=1.0).play(RlHealth, Cooler(), mode="act")

    assert ("reward-declining" in rules(alone), "reward-declining" in rules(changed)) == (True, False)


SICK = {
    "rate-spike": "reward-declining", "rate-spike-wrong": "groups-all-wrong", "hacked": "reward-without-held-out",
    "collapse": "entropy-collapse", "lengthens": "completions-at-limit", "off-policy": "clip-saturation",
    "noisy-judge": "reward-variance", "hardly-learns": "reward-stagnant",
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_a_recorded_sick_training_is_found(name: str, tmp_path: Path) -> None:
    """A real GRPO training with a planted fault is found for what it is, and its healthy twin of `even` is not."""
    found = {}
    for path in (RUNS / "grpo_sick" / f"{name}-101.jsonl.gz", RUNS / "grpo_healthy" / "even-101.jsonl.gz"):
        log = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        state = tmp_path / f"{path.stem}.json"
        state.write_text(json.dumps({"log_history": log, "max_steps": 80}))
        health = RlHealth(held_out=("rewards/distinct/mean",) if name == "hacked" else ())
        told = replay(state, {"extends": [], "use": [health]})
        found[path.parent.name] = {f.name for f in told.findings}

    assert SICK[name] in found["grpo_sick"]
    assert SICK[name] not in found["grpo_healthy"]
