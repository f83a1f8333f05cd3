"""What each trainer of TRL has, and that a value survives a resume and leaves nothing behind."""

from __future__ import annotations

import pytest
import torch

import steersman
from steersman.hyperparameters import Deferred
from steersman.integrations.trl.hyperparameters import entries_of


def statuses(trainer):
    return {name: entry.status for name, entry in entries_of(trainer).items()}


def test_what_grpo_has(grpo, rewards):
    """With two reward functions and no gate."""
    assert statuses(grpo(reward_funcs=rewards)) == {
        "kl_penalty": "live",
        "reward_weight": "inert",
        "reward_weight[even]": "live",
        "reward_weight[low]": "live",
        "temperature": "live",
        "reward_threshold": "unsupported",
    }


def test_what_rloo_has(rloo):
    """RLOO does not divide by the deviation unless told to."""
    assert statuses(rloo()) == {
        "kl_penalty": "live",
        "reward_weight": "live",
        "reward_weight[even]": "live",
        "temperature": "live",
        "reward_threshold": "unsupported",
    }


@pytest.mark.parametrize("kind", ["dpo", "kto"])
def test_what_trainers_on_preferences_have(kind, request):
    """A KL penalty, and nothing to generate or reward."""
    assert statuses(request.getfixturevalue(kind)()) == {"kl_penalty": "live"}


def test_a_subclass_has_what_its_parent_has(grpo, saved, settings):
    """The family is found among the parents, wherever the class was written."""
    from trl import GRPOConfig, GRPOTrainer

    class Own(GRPOTrainer):
        """A trainer of the user's."""

    like = grpo()
    config = GRPOConfig(per_device_train_batch_size=4, num_generations=4, beta=0.05, **settings)
    own = Own(str(saved), reward_funcs=like.reward_funcs, args=config, train_dataset=like.train_dataset)

    assert statuses(own) == statuses(like) != {}


def test_a_trainer_that_is_not_trls_has_none(make_trainer):
    """The Trainer of transformers, and no trainer at all."""
    assert entries_of(make_trainer()) == {}
    assert entries_of(None) == {}


def test_looking_leaves_no_trace(grpo, rewards):
    """To say what may be changed writes nothing."""
    trainer = grpo(reward_funcs=rewards)
    weights, attributes = trainer.reward_weights, dict(vars(trainer))

    entries = entries_of(trainer)
    for entry in entries.values():
        if entry.handle is not None:
            entry.handle.read()
            entry.handle.release()

    assert trainer.reward_weights is weights
    assert vars(trainer) == attributes


PLAN = {2: {"kl_penalty": 0.8, "temperature": 0.6, "reward_weight[low]": 2.5}}
SAVING = {"save_strategy": "steps", "save_steps": 6, "learning_rate": 1e-3}


def test_a_resumed_run_goes_on_with_the_values_in_force(grpo, rewards, steer, logged):
    """Straight and resumed run log the same losses and rewards, step by step."""
    straight = grpo(reward_funcs=rewards, **SAVING)
    steering = steer(straight, PLAN)
    resumed = grpo(reward_funcs=rewards, **SAVING)

    again = steer(resumed, {}, saved=steering.saved, resume_from_checkpoint=f"{resumed.args.output_dir}/checkpoint-6")

    assert again.took == []
    assert (resumed.beta, resumed.temperature, resumed.reward_weights.tolist()) == (0.8, 0.6, [1.0, 2.5])
    assert torch.equal(resumed.reward_weights, straight.reward_weights)
    for name in ("loss", "reward", "kl", "entropy"):
        assert logged(resumed, name) == logged(straight, name)


def test_trl_itself_resumes_with_the_values_of_its_config(grpo, rewards, steer):
    """The trap is real: without `restore` what was changed before the save is forgotten."""
    straight = grpo(reward_funcs=rewards, **SAVING)
    steer(straight, PLAN)
    resumed = grpo(reward_funcs=rewards, **SAVING)

    resumed.train(resume_from_checkpoint=f"{resumed.args.output_dir}/checkpoint-6")

    assert (resumed.beta, resumed.temperature, resumed.reward_weights.tolist()) == (0.05, 1.0, [1.0, 1.0])


def test_a_value_that_waits_is_saved(grpo, steer):
    """A checkpoint inside a buffer carries the value that waits; the resumed run generates at once, and has it."""
    straight = grpo(steps_per_generation=4, **SAVING)
    steering = steer(straight, {5: {"kl_penalty": 0.8}})
    assert steering.took == [(8, "kl_penalty")]
    assert steering.saved["kl_penalty"]["saved"] == 0.8
    resumed = grpo(steps_per_generation=4, **SAVING)

    steer(resumed, {}, saved=steering.saved, resume_from_checkpoint=f"{resumed.args.output_dir}/checkpoint-6")

    assert resumed.beta == 0.8


def test_a_restored_value_waits_where_a_buffer_is_left(grpo, steer):
    """A trainer that trains again in mid-buffer keeps its old completions, so the restored value waits for new ones."""
    trainer = grpo(steps_per_generation=4, max_steps=6)
    trainer.train()

    again = steer(trainer, {}, saved={"kl_penalty": {"saved": 0.8, "factor": 16.0}})

    assert again.took == [(2, "kl_penalty")]
    assert trainer.beta == 0.8


def test_a_restore_twice_is_one(grpo):
    """What is restored is an absolute value."""
    trainer = grpo()
    handle = entries_of(trainer)["temperature"].handle

    handle.restore(0.7)
    handle.restore(0.7)

    assert (handle.read(), trainer.temperature, handle.waits) == (0.7, 0.7, False)


def test_what_waits_is_read_until_it_is_in_force(grpo, steer):
    """Arbitration builds on the value that waits; `waits` tells it from one in force."""
    trainer = grpo(steps_per_generation=4, max_steps=6)
    trainer.train()
    handle = entries_of(trainer)["temperature"].handle
    assert isinstance(handle, Deferred)

    handle.write(0.5, 0.5)

    assert (handle.waits, handle.read(), trainer.temperature) == (True, 0.5, 1.0)
    assert handle.take_effect() is False
    handle.release()
    assert (handle.waits, handle.read()) == (False, 1.0)


def test_the_users_values_are_given_back(grpo, rewards, steer):
    """After the release every value is the user's own, whatever was in force or waited."""
    trainer = grpo(reward_funcs=rewards, reward_weights=[0.1, 0.3], temperature=0.9, steps_per_generation=4)
    before = trainer.reward_weights.clone()

    steering = steer(trainer, {0: {"kl_penalty": 0.8, "temperature": 0.6}, 9: {"reward_weight[low]": 2.0}})
    problems = steering.registry.release()

    assert problems == ()
    assert (trainer.beta, trainer.temperature, trainer.generation_config.temperature) == (0.05, 0.9, 0.9)
    assert torch.equal(trainer.reward_weights, before)


def test_a_weight_by_name_may_stand_in_a_config(grpo, rewards, journal):
    """A name of a function that is not there is no fault of the config; it is said at train begin, with the nearest."""
    trainer = grpo(reward_funcs=rewards, max_steps=1)
    allowed = {"reward_weight[even]": {"max": 2.0}, "reward_weight[lo]": {}}
    steersman.supervise(trainer, {"extends": [], "mode": "act", "hyperparameters": allowed, "console": False})

    trainer.train()

    [begin] = journal(trainer, "run")
    told = {h["name"]: (h["status"], h["value"], h["allowed"]) for h in begin.data["hyperparameters"]}
    assert told["reward_weight[even]"] == ("live", 1.0, True)
    assert (
        "reward_weight[lo] in `hyperparameters:`: this trainer has no such hyperparameter, "
        "did you mean 'reward_weight[low]'?"
    ) in begin.data["preflight"]


def test_one_of_the_users_own_goes_first(grpo, journal):
    """A hyperparameter handed over takes the place of ours."""
    trainer = grpo(max_steps=1)
    own = steersman.Hyperparameter("temperature", lambda: 3.0, lambda value: None)
    steersman.supervise(trainer, {"extends": [], "console": False}, hyperparameters=[own])

    trainer.train()

    values = {h["name"]: h["value"] for h in journal(trainer, "run")[0].data["hyperparameters"]}
    assert values["temperature"] == 3.0


def test_a_run_that_is_observed_is_bit_identical(grpo, rewards, logged):
    """What TRL has is looked at only."""
    plain = grpo(reward_funcs=rewards)
    plain.train()
    watched = grpo(reward_funcs=rewards)
    steersman.supervise(watched, {"mode": "observe", "console": False})
    watched.train()

    assert logged(watched, "loss") == logged(plain, "loss")
    assert logged(watched, "reward") == logged(plain, "reward")
    pairs = zip(plain.model.parameters(), watched.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
