"""The temperature changes on every side at once: sampling, the log probabilities of the model and of the reference."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
import torch

from steersman.integrations.trl import temperature
from steersman.integrations.trl.hyperparameters import entries_of
from steersman.registry import Registry


@pytest.fixture
def surprise(monkeypatch):
    """Return a function that records, for each generation, the mean of -log p and of the entropy over its tokens.

    Where completions are sampled from the very distribution that is scored, the one estimates the other.
    """

    def record(trainer):
        seen = []
        score = trainer._get_per_token_logps_and_entropies

        def scoring(model, ids, mask, keep, *args, **kwargs):
            is_sampled = model is not trainer.ref_model and not torch.is_grad_enabled()
            wanted = {"compute_entropy": True} if is_sampled else {}
            logps, entropies, aux = score(model, ids, mask, keep, *args, **kwargs | wanted)
            if is_sampled:
                real = mask[:, -keep:].bool()
                seen.append((-logps[real].mean().item(), entropies[real].mean().item()))
            return logps, entropies, aux

        monkeypatch.setattr(trainer, "_get_per_token_logps_and_entropies", scoring)
        return seen

    return record


LONG = {"steps_per_generation": 4, "max_completion_length": 24, "learning_rate": 0.0, "max_steps": 8}


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_sampling_and_scoring_agree_after_a_change(kind, request, steer, surprise):
    """What is sampled at 0.4 is scored at 0.4: the mean -log p of the samples is the entropy, both far lower."""
    trainer = request.getfixturevalue(kind)(**LONG)
    seen = surprise(trainer)

    steering = steer(trainer, {1: {"temperature": 0.4}})

    assert steering.took == [(4, "temperature")]
    (before, entropy_before), (after, entropy_after) = seen
    assert before == pytest.approx(entropy_before, rel=0.1)
    assert after == pytest.approx(entropy_after, rel=0.1)
    assert entropy_after < 0.7 * entropy_before


def test_one_side_alone_is_off_policy(grpo, surprise):
    """The trap is real: sampled at 0.4 and scored at 1, the samples are far likelier than the entropy says."""
    trainer = grpo(**LONG)
    seen = surprise(trainer)
    trainer.generation_config.temperature = 0.4

    trainer.train()

    assert all(sampled < 0.8 * entropy for sampled, entropy in seen)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_no_buffered_sample_is_scored_at_another_temperature(grpo, steer, logged, at):
    """With a rate of 0 the importance ratio is 1 in every step: nothing is clipped and no loss is off."""
    plain = grpo(**LONG)
    plain.train()
    trainer = grpo(**LONG)

    steer(trainer, {at: {"temperature": 0.4}})

    assert logged(trainer, "loss")[:4] == logged(plain, "loss")[:4]
    assert logged(trainer, "entropy")[:4] == logged(plain, "entropy")[:4]
    assert set(logged(trainer, "clip_ratio/region_mean")) == {0.0}


def test_at_once_would_clip(grpo, logged):
    """Put in force inside a buffer, the temperature makes the samples off-policy: this is why it waits."""
    trainer = grpo(**LONG)
    handle = temperature.handle(trainer)
    step = trainer.training_step

    def stepping(*args, **kwargs):
        if trainer._step == 2:
            handle.write(0.4, 1.0)
        return step(*args, **kwargs)

    trainer.training_step = stepping
    trainer.train()

    assert max(logged(trainer, "clip_ratio/region_mean")[2:4]) > 0


def test_all_sides_are_written_and_given_back(grpo):
    """Five places hold the temperature where there is a reference model; all are the user's own after the release."""
    trainer = grpo(temperature=0.9)
    sides = {side.name: side for side in temperature._sides(trainer)}
    handle = temperature.handle(trainer)

    handle.write(0.5, 1.0)
    assert {name: side.get() for name, side in sides.items()} == dict.fromkeys(
        [
            "trainer",
            "generation_config",
            "generation_kwargs",
            "log probabilities of model",
            "log probabilities of ref_model",
        ],
        0.5,
    )
    handle.release()
    assert {side.get() for side in sides.values()} == {0.9}


def test_sides_that_differ_have_no_value(grpo):
    """Where somebody changes one side alone, the temperature is not known, and a write is not believed."""
    trainer = grpo()
    entry = entries_of(trainer)["temperature"]
    assert entry.value == 1.0

    trainer.generation_config.temperature = 0.7

    assert entry.value is None


def test_generation_kwargs_that_override_make_it_unsupported(grpo):
    """`generation_kwargs` reach sampling only: the sides differ from the start, and the reason names each."""
    entry = entries_of(grpo(generation_kwargs={"temperature": 0.7}))["temperature"]

    assert entry.status == "unsupported"
    assert entry.reason.startswith("sampling and log probabilities do not have one temperature: trainer is 1.0, gen")
    assert "generation_config is 0.7" in entry.reason


def test_a_rollout_of_the_users_own_is_unsupported(grpo):
    """`rollout_func` samples by itself."""
    trainer = grpo()
    trainer.rollout_func = lambda prompts, trainer: {}

    entry = entries_of(trainer)["temperature"]

    assert (entry.status, entry.reason) == (
        "unsupported",
        "rollout_func samples by itself, at a temperature of its own",
    )


def test_a_forward_that_is_not_patched_is_unsupported(grpo):
    """Where the log probabilities' temperature is not found, changing the sampling alone would be off-policy."""
    trainer = grpo()
    del trainer.ref_model.forward

    entry = entries_of(trainer)["temperature"]

    reason = "the temperature of the log probabilities was not found in trainer.ref_model"
    assert (entry.status, entry.reason) == ("unsupported", reason)


def test_vllm_is_told_with_the_log_probabilities(grpo):
    """With vLLM the sampling side is `vllm_generation.temperature`, which TRL reads at each generation."""
    from trl.generation.vllm_generation import VLLMGeneration

    assert "temperature = self.temperature" in inspect.getsource(VLLMGeneration.generate)
    trainer = grpo()
    trainer.vllm_generation = SimpleNamespace(temperature=1.0, generation_kwargs={})
    entry = entries_of(trainer)["temperature"]
    assert entry.status == "live"

    Registry([entry]).write("temperature", 0.5, 0.5)
    assert entry.handle.take_effect()

    assert (trainer.vllm_generation.temperature, trainer.temperature, entry.value) == (0.5, 0.5, 0.5)


def test_vllm_with_a_fixed_temperature_is_unsupported(grpo):
    """`generation_kwargs` override vLLM's temperature at each generation."""
    trainer = grpo()
    trainer.vllm_generation = SimpleNamespace(temperature=1.0, generation_kwargs={"temperature": 1.0})

    entry = entries_of(trainer)["temperature"]

    assert (entry.status, entry.reason) == (
        "unsupported",
        "generation_kwargs fix the temperature of vLLM's sampling at 1",
    )


def test_the_log_probabilities_are_found_under_autocast(grpo, steer, surprise):
    """In bf16 accelerate wraps `forward` twice; the change reaches the log probabilities through both."""
    trainer = grpo(**LONG, bf16=True)
    assert trainer.ref_model.forward is not trainer.ref_model._original_forward
    seen = surprise(trainer)

    steer(trainer, {1: {"temperature": 0.4}})

    (_, entropy_before), (after, entropy_after) = seen
    assert entropy_after < 0.7 * entropy_before
    assert after == pytest.approx(entropy_after, rel=0.15)


def test_the_log_probabilities_are_found_under_peft(grpo, steer, surprise):
    """With LoRA the patched forward is that of the model inside, and there is no reference model."""
    from peft import LoraConfig

    trainer = grpo(**LONG, parts={"peft_config": LoraConfig(r=2, target_modules=["c_attn"], task_type="CAUSAL_LM")})
    seen = surprise(trainer)

    steer(trainer, {1: {"temperature": 0.4}})

    assert trainer.ref_model is None
    assert seen[-1][1] < 0.7 * seen[0][1]
    assert seen[-1][0] == pytest.approx(seen[-1][1], rel=0.1)
