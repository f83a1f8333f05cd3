"""The gate on the reward: who survives, what passes whole, and that nothing is left behind."""

from __future__ import annotations

import logging

import pytest
import torch

import steersman
from steersman import reward_gate
from steersman.integrations.trl.hyperparameters import entries_of
from steersman.integrations.trl.reward_gate import survivors
from steersman.registry import Registry

NAN = float("nan")
STILL = {"learning_rate": 0.0, "max_steps": 1}


@pytest.mark.parametrize(
    ("rewards", "left"),
    [
        ([0.1, 0.6, 0.7, 0.2], [False, True, True, False]),
        ([0.5, 0.5, 0.5, 0.5], [True, True, True, True]),
        ([0.1, 0.6, 0.2, 0.3], [False, False, False, False]),
        ([NAN, 0.6, 0.7, 0.2], [False, True, True, False]),
    ],
    ids=["below", "at", "alone", "unscored"],
)
def test_who_survives(rewards, left):
    """A sample survives at or above the threshold, unless it is left alone in its group or was never scored."""
    column = torch.tensor(rewards).unsqueeze(1)

    assert survivors(column, torch.ones(1), 0.5, 4).tolist() == left


def test_the_weighted_sum_is_compared_in_each_group():
    """Weights count, a NaN of one function is left out of the sum, and groups are judged each for itself."""
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0], [NAN, 1.0], [1.0, NAN]])

    assert survivors(rewards, torch.tensor([1.0, 0.2]), 0.5, 4).tolist() == [True, False, False, True]
    assert survivors(rewards, torch.tensor([1.0, 0.2]), 0.5, 2).tolist() == [False] * 4


@pytest.mark.parametrize(("kind", "settings_of_it"), [("grpo", {"scale_rewards": "none"}), ("rloo", {"beta": 0.0})])
def test_what_is_below_the_threshold_teaches_nothing(kind, settings_of_it, request):
    """Each sample below has the advantage 0, and the survivors of a group are compared with each other alone."""
    trainer = request.getfixturevalue(kind)(steps_per_generation=4, **settings_of_it, **STILL)
    gate = reward_gate(trainer, 0.375, least_survivors=0.1)

    trainer.train()

    assert (gate.generations, gate.passed_whole, gate.told) == (1, 0, "")
    rewards = torch.tensor(list(trainer._logs["rewards"]["even"])).view(-1, 4)
    advantages = torch.tensor(list(trainer._logs["advantages"])).view(-1, 4)
    kept = ~rewards.isnan()
    assert 0 < kept.sum() < kept.numel()
    assert (rewards[kept] >= 0.375).all()
    assert (advantages[~kept] == 0).all()
    assert set(kept.sum(dim=1).tolist()) <= {0, 2, 3, 4}
    assert torch.allclose(advantages.sum(dim=1), torch.zeros(4), atol=1e-6)


def test_the_trap_without_the_guard(grpo, logged):
    """The stall is real: where all rewards are NaN, TRL's reward is None and the gradient 0."""
    trainer = grpo(max_steps=1)
    calculate = trainer._calculate_rewards
    trainer._calculate_rewards = lambda *args: torch.full_like(calculate(*args), NAN)

    trainer.train()

    assert logged(trainer, "reward") == [None]
    assert logged(trainer, "grad_norm") == [0.0]


def test_too_few_survivors_pass_whole_and_it_is_said_once(grpo, logged, caplog):
    """A threshold that nobody reaches stalls nothing: each generation passes whole, and one sentence says so."""
    trainer = grpo(max_steps=3)
    gate = reward_gate(trainer, 9.0)

    with caplog.at_level(logging.WARNING, logger="steersman"):
        trainer.train()

    assert (gate.generations, gate.passed_whole) == (3, 3)
    assert gate.told.startswith("the reward gate let a whole generation pass: 0 of 4 samples reached 9 in company")
    assert [record.message for record in caplog.records if record.name == "steersman"] == [gate.told]
    assert None not in logged(trainer, "reward")
    assert 0.0 not in logged(trainer, "grad_norm")


def test_the_guard_counts_a_generation_of_all_ranks_and_steps(grpo):
    """Its share is that of the 16 samples of a whole generation: just enough keeps the gate closed, one more opens it."""

    def passed(least):
        trainer = grpo(steps_per_generation=4, **STILL)
        gate = reward_gate(trainer, 0.375, least_survivors=least)
        trainer.train()
        left = sum(reward == reward for reward in trainer._logs["rewards"]["even"])
        return gate.passed_whole, left

    closed, left = passed(0.1)
    assert closed == 0
    assert passed(left / 16) == (0, left)
    assert passed((left + 1) / 16) == (1, 16)


def test_evaluations_are_not_gated(grpo, logged):
    """The rewards of an evaluation are those of all its completions, whatever the threshold."""
    plain = grpo(eval_strategy="steps", eval_steps=1, **STILL)
    plain.train()
    gated = grpo(eval_strategy="steps", eval_steps=1, **STILL)
    gate = reward_gate(gated, 0.375, least_survivors=0.1)
    gated.train()

    assert logged(gated, "eval_reward") == logged(plain, "eval_reward")
    assert gate.generations == 1


def test_the_threshold_is_a_hyperparameter_behind_a_gate_only(grpo):
    """Without the gate it is unsupported, and the reason names the way."""
    trainer = grpo()
    entry = entries_of(trainer)["reward_threshold"]
    assert (entry.status, entry.reason) == ("unsupported", "TRL has none; steersman.reward_gate(trainer) adds one")

    reward_gate(trainer, 0.25)

    entry = entries_of(trainer)["reward_threshold"]
    assert (entry.status, entry.value) == ("live", 0.25)


def test_a_new_threshold_waits_for_the_next_generation(grpo, steer):
    """It is raised, and given back by the release of the registry; the gate stays the user's."""
    trainer = grpo(steps_per_generation=4)
    gate = reward_gate(trainer, 0.25)

    steering = steer(trainer, {1: {"reward_threshold": 0.3}})

    assert steering.took == [(4, "reward_threshold")]
    assert gate.threshold == 0.3
    steering.registry.release()
    assert gate.threshold == 0.25
    assert trainer._calculate_rewards is gate


def test_a_trainer_has_one_gate(grpo):
    """A second gate is a RuntimeError that says what to do."""
    trainer = grpo()
    gate = reward_gate(trainer)

    with pytest.raises(RuntimeError, match="has a reward gate already; release"):
        reward_gate(trainer)
    gate.release()
    reward_gate(trainer)


def test_a_released_gate_leaves_nothing(grpo):
    """The trainer has its own method again; a second release is none."""
    trainer = grpo()
    gate = reward_gate(trainer)

    gate.release()
    gate.release()

    assert "_calculate_rewards" not in vars(trainer)


def test_a_release_puts_back_a_wrapper_of_the_users(grpo):
    """What the user had put in the method's place is there again."""
    trainer = grpo()
    own = trainer._calculate_rewards = lambda *args: torch.zeros(4, 1)
    gate = reward_gate(trainer)

    gate.release()

    assert trainer._calculate_rewards is own


def test_a_gate_that_was_wrapped_is_opened(grpo, logged):
    """Where somebody wrapped the gate it cannot be taken off; released, it lets everything pass."""
    trainer = grpo(max_steps=2)
    gate = reward_gate(trainer, 0.375, least_survivors=0.1)
    trainer._calculate_rewards = lambda *args: gate(*args)

    gate.release()
    trainer.train()

    assert gate.generations == 0
    assert all(reward == reward for reward in trainer._logs["rewards"]["even"])


def test_a_trainer_without_rewards_has_no_gate(dpo):
    """DPO calculates no rewards."""
    with pytest.raises(TypeError, match="for GRPO and RLOO trainers; DPOTrainer calculates no rewards"):
        reward_gate(dpo())


@pytest.mark.parametrize("least", [0.0, -0.1, 1.1])
def test_the_guard_cannot_be_switched_off(grpo, least):
    """A share of 0 would let training stall without a word."""
    with pytest.raises(ValueError, match="least_survivors is a share above 0 and at most 1"):
        reward_gate(grpo(), least_survivors=least)


def test_the_gate_is_public():
    """`steersman.reward_gate` is the function."""
    assert steersman.reward_gate is reward_gate
    assert "reward_gate" in steersman.__all__


def test_a_threshold_of_zero_can_be_raised(grpo):
    """The default lets through what is not negative, and an `add` moves it off 0."""
    trainer = grpo()
    gate = reward_gate(trainer)
    registry = Registry(entries_of(trainer).values())

    assert registry.write("reward_threshold", 0.02, 1.0).error == ""
    assert registry.get("reward_threshold").handle.take_effect()

    assert gate.threshold == 0.02
