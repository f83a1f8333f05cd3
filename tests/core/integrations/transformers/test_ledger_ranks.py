"""Two real processes over gloo: tokens and teacher calls of both are in one ledger, straight and resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SCRIPT = """
from pydoc_data.topics import topics
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
import steersman
from steersman.readers.journal import current

text = "".join(topics[name] for name in sorted(topics)).encode()
lengths = [5 + i % 12 for i in range(32)]
rows = [list(text[16 * i : 16 * i + length]) for i, length in enumerate(lengths)]

def padded(batch):
    ids = torch.zeros(len(batch), 16, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(batch):
        ids[i, : len(row["ids"])], mask[i, : len(row["ids"])] = torch.tensor(row["ids"]), 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.where(mask.bool(), ids, -100)}

class Asks(TrainerCallback):
    def __init__(self, teacher, stop_at):
        self.teacher, self.stop_at = teacher, stop_at

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.stop_at:
            raise KeyboardInterrupt
        with self.teacher() as call:
            call.spent(sent=10 * (torch.distributed.get_rank() + 1), received=1)

def train(name, stop_at=None, resume=None):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=256, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    arguments = TrainingArguments(
        str(out / name), per_device_train_batch_size=4, num_train_epochs=3, logging_steps=5, save_steps=4, report_to=[],
        disable_tqdm=True, use_cpu=True, ddp_backend="gloo", learning_rate=1e-3, remove_unused_columns=False,
    )
    trainer = Trainer(
        GPT2LMHeadModel(config), arguments, train_dataset=[{"ids": row} for row in rows], data_collator=padded
    )
    teacher = steersman.Teacher()
    steersman.supervise(trainer, {"console": False, "use": []}, teacher=teacher)
    trainer.add_callback(Asks(teacher, stop_at))
    try:
        trainer.train(resume_from_checkpoint=resume)
    except KeyboardInterrupt:
        return None
    torch.distributed.barrier()
    end = current(out / name / "steersman" / "journal.jsonl")[-1].data["tokens"]
    names = ("tokens", "samples", "received", "input_tokens", "loss_tokens")
    return {ledger: {name: end[ledger][name] for name in names if name in end[ledger]} for ledger in ("backpropagation", "teacher")}

told["expected"] = {"tokens": 3 * sum(lengths), "samples": 96, "input_tokens": 3 * 32 * 16, "loss_tokens": 3 * sum(n - 1 for n in lengths)}
told["straight"] = train("straight")
train("resumed", stop_at=11)
told["resumed"] = train("resumed", resume=True)
"""


@pytest.mark.slow
def test_two_ranks_add_up_and_a_resume_loses_nothing(on_two_ranks: Callable[[str], list[dict[str, Any]]]) -> None:
    """Rows of 5 to 16 tokens, logs at every fifth step and saves at every fourth, interrupted at step 11 of 12.

    Trained tokens are those of three epochs, with and without the interruption. A teacher that is sent 10 and 20 tokens
    a step is in its ledger with 30 a step: 12 of them straight. Resumed from step 8 steps 9 and 10, which were logged,
    were paid for twice: 14; what was asked at step 11 before the interruption was never logged.
    """
    zero, one = on_two_ranks(SCRIPT)

    assert zero == one
    assert zero["straight"]["backpropagation"] == zero["expected"]
    assert zero["resumed"]["backpropagation"] == zero["expected"]
    assert zero["straight"]["teacher"] == {"tokens": 360, "samples": 24, "received": 24}
    assert zero["resumed"]["teacher"] == {"tokens": 420, "samples": 28, "received": 28}
