"""Puts the norms of each parameter group into the log of a Hugging Face Trainer."""

from __future__ import annotations

import math
import warnings
from typing import Any

from transformers.trainer_callback import TrainerCallback

from steersman_layerwise_lr.measuring import Tensors, as_numbers, measure


class LogNorms(TrainerCallback):  # type: ignore[misc]
    """Adds the norms of each parameter group to the Trainer's training logs; `log_norms(trainer)` makes and places it.

    They are measured after the optimizer's step, only at steps that the Trainer logs, evaluates or saves at, and read
    from the device when the log is made. As `callbacks=[LogNorms()]` it stands behind Steersman, which hears the log
    before the norms are in it: that is warned of at train begin.
    """

    def __init__(self) -> None:
        self.is_placed = False
        self._found: Tensors = {}
        self._step = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Warn where Steersman would not hear the norms."""
        if not self.is_placed:
            warnings.warn("LogNorms stands behind Steersman; use log_norms(trainer)", UserWarning, stacklevel=2)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure, where this step will be logged; gradients are gone when the step ends."""
        step = state.global_step + 1
        if _is_logged(step, args, state, kwargs.get("train_dataloader")) and kwargs.get("optimizer") is not None:
            self._found, self._step = measure(kwargs["optimizer"]), step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Put the norms of this step into a training log and its copy in `log_history`."""
        if logs is None or "loss" not in logs or self._step != state.global_step:
            return
        found, self._found, self._step = as_numbers(self._found), {}, -1
        logs.update(found)
        if state.log_history and state.log_history[-1].get("step") == state.global_step:
            state.log_history[-1].update(found)


def log_norms(trainer: Any) -> LogNorms:
    """Make a Trainer log the norms of each parameter group, before any other callback hears the log; return what does.

    It may be called before or after `steersman.supervise`.
    """
    callback = LogNorms()
    callback.is_placed = True
    trainer.callback_handler.callbacks.insert(0, callback)
    return callback


def _is_logged(step: int, args: Any, state: Any, batches: Any) -> bool:
    """Whether the Trainer may log at this step: every interval of its own, and the end of an epoch."""
    if step == 1 and args.logging_first_step:
        return True
    for strategy, every in (
        (args.logging_strategy, state.logging_steps),
        (args.eval_strategy, state.eval_steps),
        (args.save_strategy, state.save_steps),
    ):
        if strategy == "steps" and every and step % every == 0:
            return True
        if strategy == "epoch" and _ends_epoch(step, args, batches):
            return True
    return bool(step == state.max_steps)


def _ends_epoch(step: int, args: Any, batches: Any) -> bool:
    try:
        return bool(step % math.ceil(len(batches) / args.gradient_accumulation_steps) == 0)
    except TypeError:  # a stream has no length
        return False
