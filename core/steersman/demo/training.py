"""The demo's training: a tiny GPT-2 on prose that every Python ships, with a fault in its learning-rate schedule."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = 300
FAULT_AT = 36
FAULT_FACTOR = 30.0
EVERY = 12
_TRAIN_ROWS, _EVAL_ROWS, _LENGTH = 96, 64, 48

CONFIG = """\
extends: no-rails            # the seed preset is that of a system without rails
mode: act                    # observe | advise | ask | act
use:                         # who is asked, in this order
  - multi-metric
  - eval-loss
  - trend-health: {preset: seed}
  - token-accounting
check_every: eval            # a health check at each evaluation
hyperparameters:             # all that Steersman may change, and the bounds
  learning_rate: {min: 1.0e-7}
  max_grad_norm: {min: 0.1}
"""


def build(output: Path, seed: int, on_step: Callable[[int], None]) -> Any:
    """Return the Trainer: 100,000 parameters, 96 sequences of 48 bytes, and a learning rate that goes wrong at step 36.

    From that step on the schedule multiplies the rate by 30 for good: a slip of a decimal point and more.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, PrinterCallback, Trainer, TrainingArguments, set_seed
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    set_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256,
            n_positions=_LENGTH,
            n_embd=64,
            n_layer=2,
            n_head=4,
            bos_token_id=0,
            eos_token_id=0,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )
    model.config.loss_type = "ForCausalLMLoss"
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: FAULT_FACTOR if step >= FAULT_AT else 1.0)
    arguments = TrainingArguments(
        output_dir=str(output),
        max_steps=STEPS,
        per_device_train_batch_size=16,
        logging_steps=EVERY // 2,
        eval_strategy="steps",
        eval_steps=EVERY,
        save_steps=EVERY,
        save_only_model=True,
        metric_for_best_model="steersman_score",
        greater_is_better=False,
        report_to=[],
        disable_tqdm=True,
        seed=seed,
        use_cpu=True,
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=_rows(_TRAIN_ROWS, 0),
        eval_dataset=_rows(_EVAL_ROWS, 300_000),
        optimizers=(optimizer, schedule),
        callbacks=[progress(on_step)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _rows(count: int, start: int) -> Any:
    from pydoc_data.topics import topics

    import torch

    text = "".join(topics[name] for name in sorted(topics)).encode()
    ids = torch.tensor(list(text[start : start + count * _LENGTH])).view(count, _LENGTH)
    return [{"input_ids": row, "labels": row} for row in ids]


def progress(on_step: Callable[[int], None]) -> Any:
    """Return a callback that tells `on_step` how many steps are finished."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            on_step(state.global_step)

    return Progress()
