"""The demo's training: GRPO on a tiny student whose completions a teacher scores, with a learning rate that spikes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_E = os.environ.get
PROMPTS, EPOCHS, GENERATIONS, BATCH = 24, int(_E("EPOCHS","16")), 8, 24
EPOCH = PROMPTS * GENERATIONS // BATCH
STEPS = EPOCHS * EPOCH
DRIFT_FROM, DRIFT_TO, DRIFT_FACTOR = int(_E("FROM","6")) * EPOCH, int(_E("TO","8")) * EPOCH, float(_E("FACTOR","30"))
_RATE, _KL_PENALTY, _CLIP, _LENGTH = float(_E("RATE","2e-3")), float(_E("BETA","0.04")), 0.3, 20

CONFIG = """\
extends: no-rails            # the seed preset is that of a system without rails
mode: act                    # observe | advise | ask | act
use:                         # who is asked, in this order
  - trend-health:
      preset: seed
      loss_rules: on         # off by themselves for GRPO, whose loss is the KL penalty x KL
      seed: {spike_rise: 0.02, exploration_loss_fall: 0.005, exploration_reward_rise: 0.05, declining_kl_min: 0.01}
  - token-accounting
check_every: epoch
hyperparameters:             # all that Steersman may change, and the bounds
  learning_rate: {min: 1.0e-7}
  max_grad_norm: {min: 0.1}
  kl_penalty: {min: 0.01, max: 0.3}
  reward_weight: {max: 3.0}
  temperature: {max: 1.5}
"""


def drift(step: int) -> float:
    """Return the factor on the learning rate at a step: the planted drift."""
    return DRIFT_FACTOR if DRIFT_FROM <= step < DRIFT_TO else 1.0


def build(output: Path, seed: int, reward: Callable[..., Any], on_step: Callable[[int], None]) -> Any:
    """Return the GRPOTrainer. Its learning rate is multiplied by `DRIFT_FACTOR` from `DRIFT_FROM` to `DRIFT_TO`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed
    from transformers.utils import logging
    from trl import GRPOConfig, GRPOTrainer

    from steersman.demo.rlaif import student

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the model is so small that more would wait for each other
    set_seed(seed)
    folder = output / "student"
    student.save(folder)
    set_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    arguments = GRPOConfig(
        output_dir=str(output),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        num_generations=GENERATIONS,
        max_completion_length=_LENGTH,
        beta=_KL_PENALTY,
        max_grad_norm=_CLIP,
        scale_rewards="none",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=seed,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    trainer = GRPOTrainer(
        model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": student.prompts(PROMPTS)}),
        processing_class=AutoTokenizer.from_pretrained(folder),
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, drift)),
        callbacks=[_progress(on_step)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _progress(on_step: Callable[[int], None]) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            on_step(state.global_step)

    return Progress()
