"""No rule on rewards reads the step that a change of weight, threshold or temperature makes in the very metric."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import steersman
from steersman.verifying import verify

ONCE = """
import steersman
from steersman import Adjust


class Once:
    'Changes one hyperparameter at the check of step 14.'

    @steersman.hookimpl
    def propose_adjustments(self, run, check):
        if check.step == 14:
            return Adjust({name!r}, {how}, because="a test says so")
"""
CASES = {
    "reward_weight[told]": ("scale=0.5", 0.8, 0.4),
    "temperature": ("scale=0.5", 0.8, 0.4),
    "reward_threshold": ("add=-0.2", 0.8, 0.7),
}
"""How each is changed, and the reward before and after, with the very same model."""
OF_REWARDS = {"reward-declining", "reward-stagnant", "reward-variance", "reward-without-held-out", "groups-all-wrong"}
RULES = ["trend-health", {"trend-health as origin": {"preset": "seed"}}, "rl-health"]


def telling(name: str, held: dict[str, Any]) -> Callable[..., list[float]]:
    """Return a reward function that tells nothing of the model: 0.8 times the temperature, 0.001 more at each call.

    Where the threshold is changed, which is 0.7, it tells 0.6 of half of the completions.
    """
    calls = itertools.count()

    def told(completions: list[str], **_: Any) -> list[float]:
        reward = 0.8 * held["trainer"].generation_config.temperature + 0.001 * next(calls)
        low = reward - 0.2 if name == "reward_threshold" else reward
        return [low if i % 2 else reward for i in range(len(completions))]

    return told


def nothing(completions: list[str], **_: Any) -> list[float]:
    """Return 0, so that the weight of the other function means something."""
    return [0.0] * len(completions)


@pytest.fixture
def steered(grpo, act, tmp_path):
    """Return a function that trains 28 steps at a rate of 0 and changes one hyperparameter after 14."""

    def train(name: str, *, restart: bool, generation_every: int) -> Any:
        (tmp_path / "once.py").write_text(ONCE.format(name=name, how=CASES[name][0]))
        held: dict[str, Any] = {}
        held["trainer"] = trainer = grpo(
            reward_funcs=[telling(name, held), nothing], learning_rate=0.0, max_steps=28,
            steps_per_generation=generation_every,
        )  # fmt: skip
        if name == "reward_threshold":
            steersman.reward_gate(trainer, threshold=0.7)
        config = act(
            *RULES, f"{tmp_path}/once.py:Once", hyperparameters={name: {"min": 0.05}}, check_every=2,
            rails={"restart_baselines": restart},
        )  # fmt: skip
        steersman.supervise(trainer, config)
        trainer.train()
        trainer.save_state()
        return trainer

    return train


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "restart", "generation_every", "effect"),
    [
        ("reward_weight[told]", True, 1, 14), ("reward_weight[told]", False, 1, 14), ("temperature", True, 4, 16),
        ("temperature", False, 1, 14), ("reward_threshold", True, 4, 16),
    ],
)  # fmt: skip
def test_the_echo_of_a_change_is_not_read(name, restart, generation_every, effect, steered, journal, logged):
    """The reward steps down by 0.1 or 0.4 and no strategy finds that it fell; baselines begin anew with the effect."""
    trainer = steered(name, restart=restart, generation_every=generation_every)

    _, before, after = CASES[name]
    rewards = logged(trainer, "reward")
    assert (rewards[0], rewards[-1]) == (pytest.approx(before, abs=0.04), pytest.approx(after, abs=0.04))
    assert [(e.step, e.data["hyperparameter"]) for e in journal(trainer, "adjustment")] == [(14, name)]
    assert [e.step for e in journal(trainer, "restart")] == ([effect] if restart else [])
    assert OF_REWARDS.isdisjoint(e.data["name"] for e in journal(trainer, "finding"))
    out = Path(trainer.args.output_dir)
    assert OF_REWARDS.isdisjoint(found.name for found in steersman.replay(out).findings)
    assert verify(out).differences == ()


@pytest.mark.slow
def test_the_echo_is_there_to_be_read(steered):
    """Told nothing of the change, all three find in the same log that the reward is declining."""
    trainer = steered("temperature", restart=True, generation_every=1)

    log = Path(trainer.args.output_dir) / "trainer_state.json"
    told = steersman.replay(log, {"extends": [], "use": RULES, "check_every": 2})

    found = {f.strategy for f in told.findings if f.name == "reward-declining"}
    assert found == {"trend-health", "origin", "rl-health"}
