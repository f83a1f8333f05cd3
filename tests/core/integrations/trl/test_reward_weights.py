"""The weights of the reward functions: one multiplier on all, a weight for each, and when a factor on all is cancelled."""

from __future__ import annotations

import pytest
import torch

from steersman import reward_gate
from steersman.integrations.trl.hyperparameters import entries_of
from steersman.integrations.trl.reward_weights import own_names
from steersman.registry import Registry


def put(trainer, **values):
    """Write values as a registry does, at the begin of a run, and return the registry. `even` means its weight."""
    registry = Registry(entries_of(trainer).values())
    for name, value in values.items():
        full = name if name == "reward_weight" else f"reward_weight[{name}]"
        assert registry.write(full, value, 1.0).error == ""
        assert registry.get(full).handle.take_effect()
    return registry


def advantages(trainer):
    """Train, and return the advantages of the last generation."""
    trainer.train()
    return torch.tensor(list(trainer._logs["advantages"]))


STILL = {"learning_rate": 0.0, "max_steps": 2}


def test_a_weight_changes_the_reward_of_the_next_generation(grpo, rewards, steer, logged):
    """The logged reward is the weighted sum: the new weight is in it from the next generation on."""
    trainer = grpo(reward_funcs=rewards, reward_weights=[1.0, 0.5], steps_per_generation=2)

    steering = steer(trainer, {3: {"reward_weight[low]": 2.0}})

    assert steering.took == [(4, "reward_weight[low]")]
    means = zip(logged(trainer, "rewards/even/mean"), logged(trainer, "rewards/low/mean"), strict=True)
    expected = [even + (0.5 if i < 2 else 2.0) * low for i, (even, low) in enumerate(means)]
    assert logged(trainer, "reward") == pytest.approx(expected, abs=1e-6)


def test_all_weights_and_one_compose(grpo, rewards):
    """A multiplier of 0.5 on all and a weight of 3 for one give their product, in either order."""
    one, other = (grpo(reward_funcs=rewards, reward_weights=[1.0, 0.4]) for _ in range(2))
    put(one, reward_weight=0.5, low=3.0)
    registry = put(other, low=3.0, reward_weight=0.5)

    assert one.reward_weights.tolist() == other.reward_weights.tolist() == [0.5, 1.5]
    assert registry.values()["reward_weight"] == 0.5
    assert registry.values()["reward_weight[low]"] == 3.0
    assert registry.values()["reward_weight[even]"] == 1.0


def test_the_weights_stay_what_trl_needs(grpo, rewards):
    """They are a float32 tensor on the CPU, one for each function; the one the user had is not written into."""
    trainer = grpo(reward_funcs=rewards)
    before = trainer.reward_weights

    put(trainer, low=3.0)

    weights = trainer.reward_weights
    assert (weights.dtype, weights.device.type, weights.shape) == (torch.float32, "cpu", (2,))
    assert before.tolist() == [1.0, 1.0]


def test_the_users_weights_come_back_bit_for_bit(grpo, rewards):
    """After the release the tensor is the user's, to the last bit, also where 0.1 and 0.3 are not exact."""
    trainer = grpo(reward_funcs=rewards, reward_weights=[0.1, 0.3])
    before = trainer.reward_weights.clone()
    registry = put(trainer, reward_weight=0.7, even=0.9)
    put_back = registry.release()

    assert put_back == ()
    assert torch.equal(trainer.reward_weights, before)
    assert trainer.reward_weights.dtype == before.dtype


def test_weights_set_by_somebody_else_are_taken_for_what_they_are(grpo, rewards):
    """Where a callback of the user's sets the weights, theirs are read, without our multiplier; changes build on them."""
    trainer = grpo(reward_funcs=rewards)
    registry = put(trainer, even=0.5, reward_weight=2.0)
    trainer.reward_weights = torch.tensor([0.8, 4.0])
    assert (registry.values()["reward_weight"], registry.values()["reward_weight[low]"]) == (1.0, 4.0)

    registry.write("reward_weight", 0.5, 0.5)
    assert registry.get("reward_weight").handle.take_effect()

    assert trainer.reward_weights.tolist() == pytest.approx([0.4, 2.0])


@pytest.mark.parametrize("scale", ["group", "batch"])
def test_a_factor_on_all_is_inert_where_grpo_divides_by_the_deviation(grpo, rewards, scale):
    """The reason names the setting; a weight of one of two functions is live."""
    entries = entries_of(grpo(reward_funcs=rewards, scale_rewards=scale))

    shared = entries["reward_weight"]
    assert (shared.status, shared.value) == ("inert", 1.0)
    assert shared.reason == f"scale_rewards={scale} divides the weighted rewards by their own deviation"
    assert entries["reward_weight[low]"].status == "live"


@pytest.mark.parametrize("scale", ["group", "batch"])
def test_inert_is_true(grpo, rewards, scale):
    """Quadrupled weights leave the advantages as they were, up to the 1e-4 that TRL adds to the deviation."""
    plain = advantages(grpo(reward_funcs=rewards, scale_rewards=scale, **STILL))
    scaled = advantages(grpo(reward_funcs=rewards, scale_rewards=scale, reward_weights=[4.0, 4.0], **STILL))

    assert plain.abs().max() > 0.1
    assert torch.allclose(plain, scaled, rtol=2e-3, atol=0)


def test_normalize_then_sum_is_inert_too(grpo, rewards):
    """This aggregation divides by the deviation whatever `scale_rewards` says."""
    settings = {"multi_objective_aggregation": "normalize_then_sum", "scale_rewards": "none"}
    entry = entries_of(grpo(reward_funcs=rewards, **settings))["reward_weight"]
    assert entry.status == "inert"
    assert entry.reason.startswith("multi_objective_aggregation=normalize_then_sum divides")

    plain = advantages(grpo(reward_funcs=rewards, **settings, **STILL))
    scaled = advantages(grpo(reward_funcs=rewards, reward_weights=[4.0, 4.0], **settings, **STILL))
    assert torch.allclose(plain, scaled, rtol=2e-3, atol=0)


def test_a_factor_on_all_is_live_without_that_division(grpo, rewards):
    """With `scale_rewards=none` a multiplier of 4 makes the advantages exactly four times as large."""
    settings = {"scale_rewards": "none", "reward_funcs": rewards}
    plain, trainer = advantages(grpo(**settings, **STILL)), grpo(**settings, **STILL)
    put(trainer, reward_weight=4.0)

    scaled = advantages(trainer)

    assert entries_of(trainer)["reward_weight"].status == "live"
    assert torch.equal(scaled, 4 * plain)


def test_rloo_divides_only_where_it_is_told_to(rloo, rewards):
    """RLOO normalises with `normalize_advantages`; even so beta and the clip range hold the reward to a scale."""

    def status(**settings):
        return entries_of(rloo(reward_funcs=rewards, **settings))["reward_weight"].status

    assert status() == "live"
    assert status(normalize_advantages=True) == "live"
    assert status(normalize_advantages=True, beta=0.0) == "inert"
    assert status(normalize_advantages=True, beta=0.0, reward_clip_range=(-1.0, 1.0)) == "live"


@pytest.mark.parametrize("inert", [True, False])
def test_the_scale_of_rloo_is_what_its_status_says(rloo, rewards, inert):
    """Normalised and without a penalty the advantages stay; with the penalty they do not."""
    settings = {"normalize_advantages": True, "beta": 0.0 if inert else 2.0, "reward_funcs": rewards}
    moving = {"learning_rate": 1e-2, "max_steps": 2, "num_iterations": 1}
    plain = advantages(rloo(**settings, **(STILL if inert else moving)))
    scaled = advantages(rloo(reward_weights=[4.0, 4.0], **settings, **(STILL if inert else moving)))

    assert torch.allclose(plain, scaled, rtol=5e-3, atol=1e-5) is inert


def test_a_single_function_is_inert_by_both_names(grpo):
    """With one reward function its weight is a factor on all."""
    entries = entries_of(grpo())

    assert entries["reward_weight"].status == "inert"
    assert entries["reward_weight[even]"].status == "inert"
    assert entries["reward_weight[even]"].reason.startswith("no other reward function has a weight, and scale_rewards=")
    assert {entries_of(grpo(scale_rewards="none"))[n].status for n in ("reward_weight", "reward_weight[even]")} == {
        "live"
    }


def test_functions_of_weight_zero_are_no_company(grpo, rewards):
    """Where the others only log, the weight that is left is a factor on all; theirs can be raised."""
    entries = entries_of(grpo(reward_funcs=rewards, reward_weights=[1.0, 0.0]))

    assert entries["reward_weight[even]"].status == "inert"
    assert entries["reward_weight[low]"].status == "live"


def test_behind_a_gate_the_scale_matters(grpo, rewards):
    """The gate compares the weighted sum with its threshold, so a factor on all weights changes who survives."""
    trainer = grpo(reward_funcs=rewards)
    reward_gate(trainer, 0.3)

    assert entries_of(trainer)["reward_weight"].status == "live"


def test_functions_of_one_name_are_told_apart():
    """Each name occurs once, also where the user has a `length_2`."""
    assert own_names(["even", "low"]) == ["even", "low"]
    assert own_names(["length", "length", "length_2", "length"]) == ["length", "length_3", "length_2", "length_4"]
