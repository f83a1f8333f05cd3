"""The token count equals a recount of the sequences trained on."""

from __future__ import annotations

import pytest
import torch

import steersman
from steersman.integrations.torch.tokens import TokenCount

PAD = 0


def _padded(make_rows, count: int) -> list[dict[str, torch.Tensor]]:
    """Return sequences of 4 to 15 tokens, padded on the right to 16."""
    made = []
    for i, row in enumerate(make_rows(count)):
        length = 4 + i % 12
        mask = (torch.arange(16) < length).long()
        labels = torch.where(mask.bool(), row["labels"], -100)
        made.append({"input_ids": row["input_ids"] * mask, "labels": labels, "attention_mask": mask})
    return made


LAYOUTS = {
    "as it comes": {},
    "accumulated gradients": {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "an evaluation at every step": {"eval_steps": 1, "eval_on_start": True},
    "nothing logged before the end": {"logging_strategy": "no"},
    "a last batch that is short": {"per_device_train_batch_size": 7},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_the_total_is_a_recount(make_trainer, make_rows, journal, layout):
    """Padding is left out, each sequence of three epochs counts once, and evaluations do not count."""
    data = _padded(make_rows, 32)
    trainer = make_trainer(parts={"train_dataset": data}, **layout)
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    assert ledger["backpropagation_tokens"] == 3 * sum(int(row["attention_mask"].sum()) for row in data)
    assert ledger["backpropagation_samples"] == 3 * len(data)
    assert ledger["backpropagation_seconds"] > 0


def test_it_is_the_count_of_the_trainer_itself(make_trainer, make_rows, journal):
    """The total is that of the Trainer's own `include_num_input_tokens_seen`."""
    trainer = make_trainer(parts={"train_dataset": _padded(make_rows, 32)}, include_num_input_tokens_seen="non_padding")
    steersman.supervise(trainer, {"console": False})

    trainer.train()

    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    assert ledger["backpropagation_tokens"] == trainer.state.num_input_tokens_seen > 0


def test_without_a_mask_every_position_counts(make_model, make_rows):
    """A batch without an attention mask, as packing makes it, counts whole; a forward without gradients does not."""
    model = make_model()
    count = TokenCount(model)
    ids = torch.stack([row["input_ids"] for row in make_rows(5)])

    model.train()
    model(input_ids=ids)
    with torch.no_grad():
        model(input_ids=ids)
    model.eval()
    model(input_ids=ids)

    (usage,) = count.take()
    assert (usage.ledger, usage.tokens, usage.samples) == ("backpropagation", 5 * 16, 5)
    assert count.take() == ()


def test_it_stops_when_released(make_model, make_rows):
    """After release nothing is counted and no hook is left on the model."""
    model = make_model()
    count = TokenCount(model)
    count.release()
    model.train()

    model(input_ids=torch.stack([row["input_ids"] for row in make_rows(2)]))

    assert count.take() == ()
    assert len(model._forward_pre_hooks) == 0


def test_what_was_pending_is_taken_over(make_model, make_rows):
    """What a checkpoint holds as counted and not yet logged is added once to the count of the resumed run."""
    model = make_model()
    count = TokenCount(model)
    count.resume({"tokens": 100, "samples": 7, "seconds": 1.5})
    model.train()
    model(input_ids=torch.stack([row["input_ids"] for row in make_rows(2)]))

    assert (count.pending().tokens, count.pending().seconds) == (100, 1.5)
    count.stop()
    assert count.pending().tokens == 100 + 2 * 16
    (usage,) = count.take()
    assert (usage.tokens, usage.samples, usage.seconds) == (132, 9, pytest.approx(1.5, abs=0.5))
    assert count.take() == ()


def test_a_checkpoint_carries_whole_steps(make_model, make_rows):
    """What a step that is not over has counted is left out of a checkpoint: the resumed run makes that step again."""
    model = make_model()
    count = TokenCount(model)
    model.train()
    batch = torch.stack([row["input_ids"] for row in make_rows(2)])
    model(input_ids=batch, attention_mask=torch.ones_like(batch))
    count.stop()
    model(input_ids=batch, attention_mask=torch.ones_like(batch))

    assert (count.pending().tokens, count.pending().samples) == (2 * 16, 2)
    (usage,) = count.take()
    assert (usage.tokens, usage.samples) == (2 * 2 * 16, 4)
    assert count.pending().tokens == 0
