"""The token count of TRL's trainers equals a recount by the masks that TRL itself makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from steersman.integrations.torch.token_batch import NO_LABELS
from steersman.integrations.torch.tokens import TokenCount
from steersman.records import Usage

Counts = tuple[int, int, int, int]
Reader = Callable[[dict[str, Any]], Counts]


def trained(trainer: Any, read: Reader, method: str = "_compute_loss") -> tuple[Usage, Counts]:
    """Train; return what was counted, and the sum of what `read` finds in each batch that TRL trains on."""
    seen: list[Counts] = []
    computes = getattr(trainer, method)

    def recording(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if model.training and torch.is_grad_enabled():
            seen.append(read(inputs))
        return computes(model, inputs, *args, **kwargs)

    setattr(trainer, method, recording)
    count = TokenCount(trainer.model)
    trainer.train()
    usage = count.take()
    assert usage.unknown == 0
    assert count.notes() == ()
    return usage, tuple(map(sum, zip(*seen, strict=True)))  # type: ignore[return-value]


def counts(usage: Usage) -> Counts:
    return usage.input_tokens, usage.tokens, usage.loss_tokens, usage.samples


def prompts_and_completions(inputs: dict[str, Any]) -> Counts:
    """Return places, tokens of prompt and completion, those of the completion alone, and rows."""
    prompt, completion = inputs["prompt_mask"], inputs["completion_mask"]
    places = inputs["prompt_ids"].numel() + inputs["completion_ids"].numel()
    return places, int(prompt.sum() + completion.sum()), int(completion.sum()), len(prompt)


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
@pytest.mark.parametrize(
    "changes",
    [
        {"max_steps": 4},
        {"max_steps": 4, "num_iterations": 2, "gradient_accumulation_steps": 2, "beta": 0.0},
        {"max_steps": 4, "mask_truncated_completions": True, "eval_strategy": "steps", "eval_steps": 2},
    ],
    ids=["one prompt a step", "each completion twice", "no truncated completions"],
)
def test_what_is_generated_counts_when_it_is_trained_on(request, kind, changes):
    """Loss bears what TRL's completion masks let through; forwards that generate, score or evaluate do not count."""
    trainer = request.getfixturevalue(kind)(**changes)

    usage, recount = trained(trainer, prompts_and_completions)

    assert counts(usage) == recount
    assert usage.samples == 4 * 4 * changes.get("gradient_accumulation_steps", 1)
    assert usage.loss_tokens < usage.tokens <= usage.input_tokens
    assert usage.loss_tokens > 0 or "mask_truncated_completions" in changes


def test_adapters_train_the_same_tokens(grpo):
    """With LoRA, where the model without its adapter is the reference, each completion counts once."""
    from peft import LoraConfig

    lora = LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM")

    usage, recount = trained(grpo(max_steps=3, beta=0.1, parts={"peft_config": lora}), prompts_and_completions)

    assert counts(usage) == recount
    assert usage.loss_tokens > 0


def completions(inputs: dict[str, Any]) -> Counts:
    """Return places, tokens, tokens of completions that a token stands before, and rows."""
    ids, mask, completion = inputs["input_ids"], inputs["attention_mask"], inputs["completion_mask"]
    return ids.numel(), int(mask.sum()), int(completion[:, 1:].sum()), len(ids)


def test_preferences_count_both_answers(dpo):
    """Chosen and rejected rows count, of each the answer bears loss; the reference model adds nothing."""
    usage, recount = trained(dpo(max_steps=3), completions)

    assert counts(usage) == recount
    assert usage.samples == 3 * 4 * 2


def test_judged_answers_count_without_those_of_the_kl(kto):
    """The forwards for the KL term train nothing and do not count."""
    usage, recount = trained(kto(max_steps=3), completions)

    assert counts(usage) == recount
    assert usage.samples == 3 * 4


SENTENCES = [" ".join(f"w{(i + j) % 60}" for j in range(3 + i % 6)) for i in range(24)]


def labelled(inputs: dict[str, Any]) -> Counts:
    """Return places, tokens, labels but the first of a row, and sequences."""
    ids, labels = inputs["input_ids"], inputs["labels"]
    if "attention_mask" in inputs:
        tokens, sequences = int(inputs["attention_mask"].sum()), len(ids)
    else:
        tokens, sequences = ids.numel(), int((inputs["position_ids"] == 0).sum())
    return ids.numel(), tokens, int((labels[:, 1:] != -100).sum()), sequences


@pytest.mark.parametrize(
    ("changes", "padded"),
    [({}, True), ({"gradient_accumulation_steps": 4}, True), ({"padding_free": True}, False)],
    ids=["padding", "a short tail", "padding-free"],
)
def test_fine_tuning_counts_every_sentence(saved, settings, make_dataset, changes, padded):
    """In two epochs 24 sentences of 3 to 8 words and an end count 2 x 156 tokens and 2 x 132 with loss."""
    from trl import SFTConfig, SFTTrainer

    shared = {**settings, "max_steps": -1, "num_train_epochs": 2, "max_length": None, "per_device_train_batch_size": 4}
    config = SFTConfig(**{**shared, **changes})
    trainer = SFTTrainer(str(saved), args=config, train_dataset=make_dataset(text=SENTENCES))

    usage, recount = trained(trainer, labelled, "compute_loss")

    assert counts(usage) == recount
    assert (usage.tokens, usage.loss_tokens, usage.samples) == (2 * 156, 2 * 132, 2 * 24)
    assert (usage.input_tokens > usage.tokens) is padded


def test_packing_counts_every_sentence_once(saved, settings, make_dataset):
    """Sentences packed into rows of 32 places still count as 24 with 156 tokens, whatever rows they came to."""
    from trl import SFTConfig, SFTTrainer

    shared = {**settings, "max_steps": -1, "num_train_epochs": 1, "per_device_train_batch_size": 2}
    config = SFTConfig(**shared, packing=True, max_length=32)
    trainer = SFTTrainer(str(saved), args=config, train_dataset=make_dataset(text=SENTENCES))

    usage, recount = trained(trainer, labelled, "compute_loss")

    assert counts(usage) == recount == (156, 156, 132, 24)


def test_a_reward_model_has_no_labels(saved, settings, make_dataset):
    """Both answers of a pair count; which of their tokens bear loss nothing tells, and a sentence says so."""
    from trl import RewardConfig, RewardTrainer

    pairs = make_dataset(chosen=[f"w{i} w2 w4" for i in range(8)], rejected=[f"w{i} w3" for i in range(8)])
    config = RewardConfig(**{**settings, "max_steps": 2, "per_device_train_batch_size": 4})
    trainer = RewardTrainer(str(saved), args=config, train_dataset=pairs)
    count = TokenCount(trainer.model)

    trainer.train()

    usage = count.take()
    assert (usage.tokens, usage.loss_tokens, usage.samples) == (8 * (3 + 1) + 8 * (2 + 1), 0, 16)
    assert count.notes() == (NO_LABELS,)
