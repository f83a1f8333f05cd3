"""The token count of real trainings with the Trainer equals a recount of the sequences they were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from attrs import frozen
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    DataCollatorWithFlattening,
    T5Config,
    T5ForConditionalGeneration,
    TrainerCallback,
)

from steersman.integrations.torch.token_batch import NO_LABELS
from steersman.integrations.torch.tokens import TokenCount
from steersman.records import Usage

BERT = {
    "vocab_size": 64, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
    "max_position_embeddings": 16,
}  # fmt: skip
EPOCHS = 3


@frozen
class Row:
    """A sequence as plain numbers, to be counted in the test."""

    ids: list[int]
    labels: Any

    @classmethod
    def number(cls, i: int) -> Row:
        """Return a sequence of 4 to 15 tokens, of which the first i % 4 bear no loss."""
        ids = [1 + (i * j) % 50 for j in range(1, 5 + i % 12)]
        return cls(ids, [-100] * (i % 4) + ids[i % 4 :])

    def padded(self, length: int = 16) -> dict[str, Any]:
        """Return it as a collator leaves it: 0 and -100 on the right."""
        lacks = length - len(self.ids)
        labels = self.labels + [-100] * lacks if isinstance(self.labels, list) else self.labels
        mask = [1] * len(self.ids) + [0] * lacks
        return {"input_ids": self.ids + [0] * lacks, "attention_mask": mask, "labels": labels}

    def bearing(self, *, shifted: bool) -> int:
        """Return how many labels are not -100, without the first if they are shifted."""
        return sum(label != -100 for label in self.labels[shifted:])


ROWS = [Row.number(i) for i in range(32)]


class Taking(TrainerCallback):
    """Takes what was counted whenever the trainer logs, as a session does."""

    def __init__(self, model: Any) -> None:
        self.count = TokenCount(model)
        self.parts: list[Usage] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.count.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.count.stop()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        taken = self.count.take()
        self.parts += [taken] if taken.samples else []


def train(trainer: Any) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Train and return input tokens, tokens, loss tokens and samples, and what was said of them."""
    trainer.add_callback(taking := Taking(trainer.model))
    trainer.train()
    taking.count.release()
    assert len(taking.parts) > 1
    assert all(part.seconds > 0 and part.unknown == 0 for part in taking.parts)
    names = ("input_tokens", "tokens", "loss_tokens", "samples")
    return tuple(sum(getattr(part, name) for part in taking.parts) for name in names), taking.count.notes()


def recount(*, places: int, shifted: bool = True) -> tuple[int, ...]:
    """Return what three epochs of the rows come to, each of them padded to so many places."""
    tokens, loss = sum(len(row.ids) for row in ROWS), sum(row.bearing(shifted=shifted) for row in ROWS)
    return tuple(EPOCHS * n for n in (places * len(ROWS), tokens, loss, len(ROWS)))


LAYOUTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a short tail of accumulated gradients": {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 4},
    "checkpointing": {"gradient_checkpointing": True},
    "reentrant": {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": True}},
    "evaluation at every step": {"eval_steps": 1, "eval_on_start": True},
    "a short last batch": {"per_device_train_batch_size": 7},
    "grouped by length": {"train_sampling_strategy": "group_by_length"},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_padding_is_told_apart_in_every_layout(make_trainer, layout):
    """Each sequence of three epochs counts once with its padding to 16, without it, and by its labels but the first."""
    trainer = make_trainer(parts={"train_dataset": [row.padded() for row in ROWS]}, save_strategy="no", **layout)

    counted, notes = train(trainer)

    assert counted == recount(places=16)
    assert notes == ()


@pytest.mark.slow
def test_a_compiled_forward_counts_at_each_call(make_trainer):
    """A forward that is traced with its gradients and checkpointed counts like any other."""
    parts = {"train_dataset": [row.padded() for row in ROWS]}
    compiled = {"torch_compile": True, "torch_compile_backend": "aot_eager", "gradient_checkpointing": True}
    trainer = make_trainer(parts=parts, save_strategy="no", eval_strategy="no", **compiled)

    counted, notes = train(trainer)

    assert counted == recount(places=16)
    assert notes == ()


def test_packed_rows_count_whole(make_trainer):
    """Rows without a mask, all of them tokens: 3 x 8 x 16, of which 15 of each 16 bear loss."""
    packed = [{"input_ids": list(range(16)), "labels": list(range(16))} for _ in range(8)]

    counted, notes = train(make_trainer(parts={"train_dataset": packed}, save_strategy="no"))

    assert counted == (3 * 8 * 16, 3 * 8 * 16, 3 * 8 * 15, 3 * 8)
    assert notes == ()


@pytest.mark.parametrize("bounds", [False, True])
def test_padding_free_batches_count_their_sequences(make_trainer, bounds):
    """Eight sequences laid end to end count as eight, each without its first label; no place is padding."""
    kept = {"return_flash_attn_kwargs": True} if bounds else {}
    rows = [{"input_ids": row.ids, "labels": row.labels} for row in ROWS]
    parts = {"train_dataset": rows, "data_collator": DataCollatorWithFlattening(**kept)}

    counted, notes = train(make_trainer(parts=parts, save_strategy="no", eval_strategy="no"))

    tokens, loss = sum(len(row.ids) for row in ROWS), sum(row.bearing(shifted=True) for row in ROWS)
    assert counted == (3 * tokens, 3 * tokens, 3 * loss, 3 * 32)
    assert notes == ()


def test_the_trainer_counts_the_same(make_trainer):
    """The counts with and without padding are those of the Trainer's own `include_num_input_tokens_seen`."""
    rows = [row.padded() for row in ROWS]
    seen = {}
    for mode in ("all", "non_padding"):
        trainer = make_trainer(
            name=mode, parts={"train_dataset": rows}, save_strategy="no", include_num_input_tokens_seen=mode
        )
        counted, _ = train(trainer)
        seen[mode] = trainer.state.num_input_tokens_seen

    assert (seen["all"], seen["non_padding"]) == counted[:2]


def masked_lm() -> Any:
    return BertForMaskedLM(BertConfig(**BERT))


def token_classes() -> Any:
    return BertForTokenClassification(BertConfig(**BERT, num_labels=64))


@pytest.mark.parametrize("make", [masked_lm, token_classes])
def test_models_that_do_not_shift_count_every_label(make_trainer, make):
    """A masked language model and a tagger take a label where it stands: the first of a row bears loss too."""
    parts = {"train_dataset": [row.padded() for row in ROWS]}

    counted, notes = train(make_trainer(model=make(), parts=parts, save_strategy="no", eval_strategy="no"))

    assert counted == recount(places=16, shifted=False) != recount(places=16)
    assert notes == ()


def test_a_classifier_counts_its_examples(make_trainer):
    """One label for each of 32 sequences: 96 in three epochs, beside all tokens."""
    rows = [Row(row.ids, len(row.ids) % 2).padded() for row in ROWS]
    model = BertForSequenceClassification(BertConfig(**BERT, num_labels=2))

    counted, _ = train(make_trainer(model=model, parts={"train_dataset": rows}, save_strategy="no", eval_strategy="no"))

    assert counted == (*recount(places=16)[:2], 96, 96)


def test_an_encoder_decoder_counts_its_labels_unshifted(make_trainer):
    """Tokens are those the encoder reads; of the labels of the decoder every one bears loss, since its input shifts."""
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=64, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    )
    parts = {"train_dataset": [row.padded() for row in ROWS]}

    counted, notes = train(make_trainer(model=model, parts=parts, save_strategy="no", eval_strategy="no"))

    assert counted == recount(places=16, shifted=False)
    assert notes == ()


def adapted(kind: str) -> Callable[[Any], Any]:
    from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model

    lora = LoraConfig(task_type=TaskType.CAUSAL_LM, r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    prompt = PromptTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=3)
    plain = LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    configs = {"lora": lora, "prompt tuning": prompt, "lora without a task": plain}
    return lambda model: get_peft_model(model, configs[kind])


@pytest.mark.parametrize("kind", ["lora", "prompt tuning", "lora without a task"])
def test_adapters_count_once(make_trainer, make_model, kind):
    """Through PEFT the labels still shift, no forward counts twice, and virtual tokens are none."""
    rows = [{name: values[:12] for name, values in row.padded().items()} for row in ROWS]
    parts = {"train_dataset": rows}
    trainer = make_trainer(model=adapted(kind)(make_model()), parts=parts, save_strategy="no", eval_strategy="no")

    counted, notes = train(trainer)

    cut = [Row(row.ids[:12], row.labels[:12]) for row in ROWS]
    tokens, loss = sum(len(row.ids) for row in cut), sum(row.bearing(shifted=True) for row in cut)
    assert counted == (3 * 32 * 12, 3 * tokens, 3 * loss, 96)
    assert notes == ()


def test_embeddings_alone_count(make_model):
    """Two sequences of 16 vectors are 32 tokens, of whose labels 30 bear loss."""
    count = TokenCount(model := make_model().train())
    ids = torch.ones(2, 16, dtype=torch.long)

    model(inputs_embeds=model.get_input_embeddings()(ids), labels=ids).loss.backward()

    usage = count.take()
    assert (usage.input_tokens, usage.tokens, usage.loss_tokens, usage.samples) == (32, 32, 30, 2)


def test_a_loss_outside_the_model_is_said_to_be_unknown(make_trainer):
    """With label smoothing the Trainer keeps the labels to itself: tokens count, and a sentence tells what is missing."""
    parts = {"train_dataset": [row.padded() for row in ROWS]}

    counted, notes = train(make_trainer(parts=parts, save_strategy="no", label_smoothing_factor=0.1))

    assert counted == (*recount(places=16)[:2], 0, 96)
    assert notes == (NO_LABELS,)


RANKS = """
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
from steersman.integrations.torch.tokens import TokenCount

model_config = GPT2Config(vocab_size=64, n_positions=16, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)

def counts(count):
    usage = count.take()
    return [usage.input_tokens, usage.tokens, usage.loss_tokens, usage.samples]

def with_ddp(name, rows, **settings):
    arguments = TrainingArguments(
        str(out / name), num_train_epochs=3, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
        ddp_backend="gloo", include_num_input_tokens_seen="non_padding", **settings,
    )
    trainer = Trainer(GPT2LMHeadModel(model_config), arguments, train_dataset=rows)
    count = TokenCount(trainer.model)
    trainer.train()
    assert trainer.model_wrapped is not trainer.model
    return [counts(count), trainer.state.num_input_tokens_seen]

told["even"] = with_ddp("even", ROWS, per_device_train_batch_size=4)
told["odd"] = with_ddp("odd", ROWS[:27], per_device_train_batch_size=2, gradient_accumulation_steps=3)

torch.manual_seed(0)
mesh = init_device_mesh("cpu", (2,))
model = GPT2LMHeadModel(model_config).train()
before = TokenCount(model)
for block in model.transformer.h:
    fully_shard(block, mesh=mesh)
fully_shard(model, mesh=mesh)
assert isinstance(model, FSDPModule)
after = TokenCount(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for i in range(dist.get_rank(), 32, 2):
    batch = {name: torch.tensor([values]) for name, values in ROWS[i].items()}
    model(**batch).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        model(**batch)
told["sharded before"], told["sharded after"] = counts(before), counts(after)
"""


@pytest.mark.slow
def test_two_ranks_count_each_their_own(on_two_ranks: Callable[[str], list[dict[str, Any]]]) -> None:
    """The counts of two ranks add up to a recount of the rows, and where rows repeat to fill, to the Trainer's own.

    Under DDP in three epochs; under FSDP2 in one, whether the hook was there before the model was sharded or after.
    """
    zero, one = on_two_ranks(f"ROWS = {[row.padded() for row in ROWS]}\n{RANKS}")

    both = {name: [a + b for a, b in zip(_flat(zero[name]), _flat(one[name]), strict=True)] for name in zero}
    assert both["even"][:4] == list(recount(places=16))
    assert zero["even"][0] != one["even"][0]
    assert both["odd"][1] == zero["odd"][1] == one["odd"][1] > 3 * sum(len(row.ids) for row in ROWS[:27])
    once = [n // EPOCHS for n in recount(places=16)]
    assert both["sharded before"] == both["sharded after"] == once
    assert zero["sharded after"][1] == sum(len(row.ids) for row in ROWS[::2])


def _flat(told: list[Any]) -> list[int]:
    return told[0] if isinstance(told[0], list) else told
