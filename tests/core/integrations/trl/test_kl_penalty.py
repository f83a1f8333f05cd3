"""The KL penalty of GRPO and RLOO changes with the next generation, that of DPO and KTO at once; none crosses 0."""

from __future__ import annotations

import pytest

from steersman.hyperparameters import Deferred
from steersman.integrations.trl.hyperparameters import entries_of
from steersman.registry import Registry


def first_difference(one: list[float], other: list[float]) -> int:
    """The index from which two series differ."""
    assert len(one) == len(other)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))


@pytest.mark.parametrize(("written_at", "in_force_at"), [(4, 4), (5, 8), (7, 8)])
def test_a_new_beta_of_grpo_waits_for_the_next_generation(grpo, steer, logged, written_at, in_force_at):
    """Written inside a buffer of four steps, beta changes the loss from the next buffer on, and not before."""
    plain = grpo(steps_per_generation=4)
    plain.train()
    changed = grpo(steps_per_generation=4)

    steering = steer(changed, {written_at: {"kl_penalty": 5.0}})

    assert steering.took == [(in_force_at, "kl_penalty")]
    assert first_difference(logged(plain, "loss"), logged(changed, "loss")) == in_force_at
    assert changed.beta == 5.0


def test_a_buffer_that_is_trained_on_twice_is_waited_for(grpo, steer, logged):
    """With num_iterations a generation lasts twice as long: beta written at its second pass waits for its end."""
    steering = steer(grpo(steps_per_generation=2, num_iterations=2), {2: {"kl_penalty": 5.0}})

    assert steering.took == [(4, "kl_penalty")]


def test_a_step_of_several_generations_is_waited_for_at_its_begin(grpo, steer, logged):
    """Where each micro-batch generates, every step begins with a generation: beta is in force at once."""
    trainer = grpo(steps_per_generation=1, gradient_accumulation_steps=2, max_steps=4)

    steering = steer(trainer, {1: {"kl_penalty": 5.0}})

    assert steering.took == [(1, "kl_penalty")]


def test_a_step_that_begins_inside_a_buffer_waits_for_one_that_does_not(grpo, steer):
    """Three micro-batches a generation and two a step meet at every third step only."""
    trainer = grpo(steps_per_generation=3, gradient_accumulation_steps=2, per_device_train_batch_size=4, max_steps=8)

    steering = steer(trainer, {1: {"kl_penalty": 5.0}})

    assert steering.took == [(3, "kl_penalty")]


def test_a_new_beta_of_rloo_changes_the_advantages_of_the_next_generation(rloo, steer, logged):
    """RLOO takes the penalty off the reward: the loss changes with the next generation, the one before is untouched."""
    plain = rloo(steps_per_generation=4)
    plain.train()
    changed = rloo(steps_per_generation=4)

    steering = steer(changed, {5: {"kl_penalty": 5.0}})

    assert steering.took == [(8, "kl_penalty")]
    assert first_difference(logged(plain, "loss"), logged(changed, "loss")) == 8


def test_a_new_beta_of_dpo_acts_at_once(dpo, steer, logged):
    """DPO reads beta in each loss; the margins it logs grow with it."""
    plain = dpo()
    plain.train()
    changed = dpo()

    steering = steer(changed, {5: {"kl_penalty": 10 * plain.beta}})

    assert not isinstance(steering.registry.get("kl_penalty").handle, Deferred)
    margins, scaled = logged(plain, "rewards/margins"), logged(changed, "rewards/margins")
    assert first_difference(margins, scaled) == 5
    assert scaled[5] == pytest.approx(10 * margins[5], rel=1e-4)


def test_a_new_beta_of_kto_acts_at_once(kto, steer, logged):
    """KTO reads beta in each loss."""
    plain = kto()
    plain.train()
    changed = kto()

    steering = steer(changed, {5: {"kl_penalty": 1.0}})

    assert not isinstance(steering.registry.get("kl_penalty").handle, Deferred)
    assert first_difference(logged(plain, "loss"), logged(changed, "loss")) == 5


def test_the_beta_of_a_dpo_loss_that_does_not_read_it_is_inert(dpo):
    """`loss_type=sft` has no penalty; of two losses one that reads it is enough."""
    entry = entries_of(dpo(loss_type=["sft"]))["kl_penalty"]
    assert (entry.status, entry.reason) == ("inert", "the loss `sft` does not read beta")
    assert entries_of(dpo(loss_type=["sft", "sigmoid"]))["kl_penalty"].status == "live"


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_a_beta_of_zero_cannot_be_raised(kind, request):
    """TRL prepares no reference model where beta is 0: raising it later would end the run."""
    trainer = request.getfixturevalue(kind)(beta=0.0)

    entry = entries_of(trainer)["kl_penalty"]

    assert (entry.status, entry.value) == ("unsupported", None)
    assert entry.reason.startswith("beta was 0 at the start, so TRL prepared no reference model")


def test_raising_a_beta_of_zero_would_end_the_run(grpo):
    """The trap is real in this TRL: without a reference model the next generation raises."""
    trainer = grpo(beta=0.0)
    trainer.beta = 0.1

    with pytest.raises(AttributeError):
        trainer.train()


def test_a_tiny_beta_can_be_raised(grpo, steer, logged):
    """The way out that the reason names works: 1e-6 has a reference model."""
    trainer = grpo(beta=1e-6)

    steer(trainer, {3: {"kl_penalty": 0.5}})

    assert trainer.beta == 0.5
    assert len(logged(trainer, "kl")) == 12


@pytest.mark.parametrize("kind", ["grpo", "dpo"])
def test_beta_never_crosses_zero(kind, request):
    """A value of 0 or less is refused by the handle itself, whoever asks."""
    trainer = request.getfixturevalue(kind)()
    before, registry = trainer.beta, Registry(entries_of(trainer).values())

    written = registry.write("kl_penalty", 0.0, 0.0)

    assert "must stay above 0" in written.error
    assert (trainer.beta, registry.get("kl_penalty").value) == (before, before)


def test_the_more_penalty_the_safer(grpo, dpo):
    """Among rivals the higher penalty wins, for each trainer."""
    assert {entries_of(make())["kl_penalty"].safer for make in (grpo, dpo)} == {"up"}
