"""What Lightning's Trainer tells of a run: its plan, its hyperparameters, and what will not work."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from steersman import registry
from steersman.hyperparameters import Entry, Hyperparameter
from steersman.integrations.metrics import SCORE
from steersman.integrations.torch.facts import adaptive
from steersman.integrations.torch.learning_rate import learning_rates
from steersman.registry import Registry
from steersman.schedule import RunPlan

_NONE = "this trainer has none; hand it over as Hyperparameter(name, get, set)"


def plan_of(trainer: Any) -> RunPlan:
    """Return what is known of the run at its begin."""
    per_epoch, evaluates = _steps(trainer, trainer.num_training_batches), bool(trainer.enable_validation)
    every = _eval_every(trainer, per_epoch) if evaluates else None
    logs = tuple(n for n in (trainer.log_every_n_steps, every) if n)
    scheduler = next((n for c in trainer.lr_scheduler_configs if (n := adaptive(c.scheduler))), "")
    return RunPlan(_total(trainer), evaluates, 1, every, per_epoch, logs, adaptive_scheduler=scheduler)


def _total(trainer: Any) -> int | None:
    if len(trainer.optimizers) > 1:  # every step of each counts
        return trainer.max_steps if trainer.max_steps > 0 else None
    total = trainer.estimated_stepping_batches
    return int(total) if math.isfinite(total) and total > 0 else None


def _steps(trainer: Any, batches: Any) -> int | None:
    return math.ceil(batches / trainer.accumulate_grad_batches) if math.isfinite(batches) else None


def _eval_every(trainer: Any, per_epoch: int | None) -> int | None:
    epochs, batches = trainer.check_val_every_n_epoch, trainer.val_check_batch
    if batches is None or not math.isfinite(batches):
        return None
    if epochs is not None and batches == trainer.num_training_batches:
        return per_epoch * epochs if per_epoch else None
    meets = batches % trainer.accumulate_grad_batches == 0
    even = epochs is None or (epochs == 1 and trainer.num_training_batches % batches == 0)
    return int(batches // trainer.accumulate_grad_batches) if meets and even else None


def epoch_of(trainer: Any, batch_idx: int) -> float:
    """Return the fractional epoch after a batch; in the midst of one without a length, the epochs before it."""
    batches = trainer.num_training_batches
    part = 1.0 if trainer.is_last_batch else (batch_idx + 1) / batches if math.isfinite(batches) else 0.0
    return float(trainer.current_epoch) + part


def registry_of(trainer: Any, module: Any, own: tuple[Hyperparameter, ...]) -> Registry:
    """Return every hyperparameter: live, inert or unsupported, with the reason."""
    found = {**_learning_rate(trainer.optimizers), "max_grad_norm": _clip(trainer, module)}
    return registry.registry_of(own, found, lambda _: _NONE)


def _learning_rate(optimizers: list[Any]) -> dict[str, Entry]:
    if len(optimizers) == 1:
        return learning_rates(optimizers[0])
    reason = f"this module has {len(optimizers)} optimizers, and which rate is meant is not known"
    return {"learning_rate": Entry("learning_rate", None, "unsupported", reason, safer="down")}


def _clip(trainer: Any, module: Any) -> Entry:
    value, reason = trainer.gradient_clip_val, ""
    if not module.automatic_optimization:
        reason = "with manual optimization your training_step clips by itself"
    elif type(trainer.strategy).__name__ == "DeepSpeedStrategy":
        reason = "DeepSpeed clips by its own config"
    elif str(trainer.gradient_clip_algorithm or "norm") not in ("norm", "GradClipAlgorithmType.NORM"):
        reason = "gradients are clipped by value, not by norm"
    if reason:
        return Entry("max_grad_norm", None, "unsupported", reason, safer="down")
    if not value:
        return Entry("max_grad_norm", None, "inert", f"clipping is off (gradient_clip_val is {value})", safer="down")
    handle = Hyperparameter(
        "max_grad_norm", lambda: trainer.gradient_clip_val, lambda new: setattr(trainer, "gradient_clip_val", new)
    )
    return Entry("max_grad_norm", handle, "live", safer="down")


def facts_of(trainer: Any) -> dict[str, object]:
    """Return what the scores of a run depend on besides its model."""
    return {
        "the share of the validation batches": trainer.limit_val_batches,
        "the batches of an optimizer step": trainer.accumulate_grad_batches * trainer.world_size,
        "the precision": str(trainer.precision),
    }


def preflight(trainer: Any, plan: RunPlan) -> Iterator[str]:
    """Yield a sentence for each thing that will silently not happen in this run."""
    if not plan.evaluates:
        yield "there is no validation in this run: no checkpoint will be scored"
    elif not any(getattr(c, "monitor", None) == SCORE for c in trainer.checkpoint_callbacks):
        yield f"no ModelCheckpoint monitors {SCORE}: the best checkpoint will be named, and may not be kept"
    for callback in _monitors(trainer.callbacks):
        if getattr(callback, "mode", "min") != "min":
            name, mode = type(callback).__name__, callback.mode
            yield f"{name} monitors {SCORE} with mode {mode!r}: a lower {SCORE} is better, so set mode='min'"
    if not trainer.log_every_n_steps:
        yield "log_every_n_steps is 0: the training loss is heard only where there is a validation"


def placed(callbacks: list[Any], ours: Any) -> list[Any]:
    """Return the callbacks with ours before the first that monitors the score, which dies where there is none."""
    first = next(iter(_monitors(callbacks)), None)
    if first is None or callbacks.index(ours) < callbacks.index(first):
        return callbacks
    others = [callback for callback in callbacks if callback is not ours]
    at = others.index(first)
    return [*others[:at], ours, *others[at:]]


def _monitors(callbacks: list[Any]) -> list[Any]:
    return [callback for callback in callbacks if getattr(callback, "monitor", None) == SCORE]
