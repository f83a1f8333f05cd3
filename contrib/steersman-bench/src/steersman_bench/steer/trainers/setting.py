"""What all trainers here are set up with: their settings, a schedule, and quiet."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

SETTINGS: dict[str, Any] = {
    "report_to": [], "disable_tqdm": True, "use_cpu": True, "bf16": False, "logging_steps": 5,
    "eval_strategy": "steps", "save_strategy": "steps", "save_only_model": True,
    "metric_for_best_model": "steersman_score", "greater_is_better": False,
}  # fmt: skip
"""The settings that all trainers here share: they save at each evaluation, and rank as Steersman does."""


def scheduled(optimizer: Any, rate: Callable[[int], float]) -> Any:
    """Return the schedule of an optimizer by which the learning rate of a step, from 1, is multiplied by `rate`."""

    def after(steps: int) -> float:
        return rate(steps + 1)

    return import_module("torch.optim.lr_scheduler").LambdaLR(optimizer, after)


def hush() -> None:
    """Silence this process: nothing is fetched, no bar, no warning, no other tool's log.

    Before transformers is imported, else it may ask the network.
    """
    for name, value in (("HF_HUB_OFFLINE", "1"), ("TRL_EXPERIMENTAL_SILENCE", "1"), ("WANDB_MODE", "disabled")):
        os.environ[name] = value
    warnings.simplefilter("ignore")
    for name in ("trl", "accelerate", "datasets", "torch"):
        logging.getLogger(name).setLevel("ERROR")
    of_transformers = import_module("transformers.utils").logging
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
