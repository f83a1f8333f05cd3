"""The demo's training: GRPO on a tiny student whose completions a teacher scores, with a learning rate that spikes."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from logging import getLogger
from pathlib import Path
from typing import Any

PROMPTS, EPOCHS, GENERATIONS, BATCH = 24, 15, 8, 24
EPOCH = PROMPTS * GENERATIONS // BATCH
STEPS = EPOCHS * EPOCH
DRIFT_FROM, DRIFT_TO, DRIFT_FACTOR = 6 * EPOCH, 8 * EPOCH, 25.0
_RATE, _KL_PENALTY, _CLIP, _LENGTH = 3e-3, 0.02, 0.3, 20
_EVAL_PROMPTS, _EVAL_GENERATIONS, _EVAL_EVERY = 6, 4, 3 * EPOCH

CONFIG = """\
extends: no-rails            # the seed preset is that of a system without rails
mode: act                    # observe | advise | ask | act
score:                       # the best checkpoint: what the teacher says of prompts held out
  eval_rewards/teacher/mean: {weight: 1.0, direction: higher}
use:                         # who is asked besides, in this order
  - trend-health:
      preset: seed
      loss_rules: on         # off by themselves for GRPO, whose loss is KL penalty x KL
      seed:                  # thresholds in units of that loss; the penalty here begins at 0.02
        spike_rise: 0.015
        exploration_loss_fall: 0.003
        exploration_reward_rise: 0.1
        declining_kl_min: 0.01
  - token-accounting
check_every: epoch           # a health check at the end of each epoch
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
    from steersman.demo.rlaif import student
    from steersman.demo.training import progress

    datasets, torch, transformers, trl = map(import_module, ("datasets", "torch", "transformers", "trl"))
    logging = import_module("transformers.utils.logging")
    logging.set_verbosity_error()
    getLogger("trl").setLevel("ERROR")  # it shows a completion without a reward whole, each time
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the model is so small that more would wait for each other
    transformers.set_seed(seed)
    folder = output / "student"
    student.save(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    arguments = trl.GRPOConfig(
        output_dir=str(output),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        num_generations=GENERATIONS,
        max_completion_length=_LENGTH,
        beta=_KL_PENALTY,
        max_grad_norm=_CLIP,
        scale_rewards="none",
        logging_steps=1,
        per_device_eval_batch_size=_EVAL_PROMPTS * _EVAL_GENERATIONS,
        num_generations_eval=_EVAL_GENERATIONS,
        eval_strategy="steps",
        eval_steps=_EVAL_EVERY,
        save_steps=_EVAL_EVERY,
        save_only_model=True,
        report_to=[],
        disable_tqdm=True,
        seed=seed,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=datasets.Dataset.from_dict({"prompt": student.prompts(PROMPTS)}),
        eval_dataset=datasets.Dataset.from_dict({"prompt": student.prompts(_EVAL_PROMPTS, start=PROMPTS)}),
        processing_class=transformers.AutoTokenizer.from_pretrained(folder),
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, drift)),
        callbacks=[progress(on_step)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer
