"""The names of metrics: how TensorBoard, W&B, Lightning and others spell them, and what the Trainer calls the same.

The one spelling is that of the Hugging Face Trainer: `loss`, `learning_rate`, `grad_norm`, `eval_loss`. A name that is
not known stays as it is.
"""

from __future__ import annotations

import re
from typing import Literal

from steersman.stages import bare, stage_of

Stage = Literal["train", "eval", "test", "summary"]

STEPS = (
    "current_steps", "train/global_step", "trainer/global_step", "training/global_step", "global_step", "global_steps",
    "step", "Step", "_step", "iteration", "iter", "steps",
)  # fmt: skip
"""Where a row has its step, the first of these that it has."""

FROM_ZERO = frozenset({"trainer/global_step"})
"""Steps of Lightning, which count those finished before the one that is logged."""

OF_ROWS = "_step"
"""The step of W&B, which counts the rows that were logged where nobody gave it another."""

EPOCHS = ("epoch", "train/epoch", "training/epoch", "Epoch")
ELAPSED = ("elapsed_time", "_runtime", "elapsed")

_NOT_METRICS = frozenset(
    {*STEPS, *EPOCHS, *ELAPSED, "_timestamp", "_wandb", "time", "timestamp", "remaining_time", "percentage",
     "total_steps", "max_steps", "total_epochs", "wall_time"}
)  # fmt: skip

OWN_TAGS = ("HealthCheck/", "Score/", "Tokens/generation/", "Tokens/backpropagation/", "Tokens/teacher/")
"""What begins the tags that we write into trackers ourselves, see `steersman.reporters.scalars`."""

_SUMMARY = re.compile(r"(?:train/)?(train_(?:runtime|loss|\w+_per_second)|total_flos)")
_EVALUATIONS = re.compile(r"val-core/|val-aux/|validation_metrics/|metrics/(?:precision|recall|mAP|accuracy_top)")
"""What names begin with that are of an evaluation and are kept as they are: verl's, Ultralytics', torchtitan's."""

_KNOWN = {
    "lr": "learning_rate",
    "gradient_norm": "grad_norm",
    "loss_step": "loss",
    "lr/pg0": "learning_rate",  # Ultralytics
    "x/lr0": "learning_rate",  # YOLOv5
    "actor/pg_loss": "loss",  # verl
    "actor/grad_norm": "grad_norm",
    "actor/lr": "learning_rate",
    "actor/kl_loss": "kl",
    "actor/entropy": "entropy",
    "critic/rewards/mean": "reward",
    "loss_metrics/global_avg_loss": "loss",  # torchtitan
    "validation_metrics/global_avg_loss": "eval_loss",
}
_OF_TRAINING = frozenset({"loss", "learning_rate", "grad_norm"})
_RATE_OF_A_MONITOR = re.compile(r"lr-\w+(?:/pg1)?")
_TELLING = re.compile(
    r"(?:^|[/_\-. ])(?:loss|lr|learning_rate|grad_norm|rewards?|acc|accuracy|f1|ppl|perplexity|wer|cer|bleu|rouge\w*"
    r"|map\w*|auc|return)(?:$|[/_\-. @(\d])",
    re.IGNORECASE,
)


def is_metric(name: str) -> bool:
    """Whether a name of a log is a metric, and not the step, the epoch, the time or what is planned."""
    return name not in _NOT_METRICS and not name.startswith(OWN_TAGS)


def is_telling(name: str) -> bool:
    """Whether a name is such as only a log of a training has."""
    return is_metric(name) and _TELLING.search(name) is not None


def is_summary(names: tuple[str, ...]) -> bool:
    """Whether the names are of the Trainer's final summary."""
    return "train_runtime" in names or "train/train_runtime" in names


def in_summary(name: str) -> str | None:
    """Return what a name is called in the final summary, or None where it is no part of it."""
    match = _SUMMARY.fullmatch(name)
    return match[1] if match else None


def stage(name: str) -> Stage | None:
    """Return what a metric is of, as far as its name tells."""
    known = _KNOWN.get(name) or (name if name in _OF_TRAINING else None)
    if known is not None:
        return "eval" if known.startswith("eval_") else "train"
    return "eval" if _EVALUATIONS.match(name) else stage_of(name)


def ours(name: str, of: Literal["train", "eval", "test"]) -> str:
    """Return our name of a metric that is of a training log or of an evaluation."""
    if name in _KNOWN:
        return _KNOWN[name]
    if _EVALUATIONS.match(name):
        return name
    if of == "train":
        plain = bare(name, "train")
        plain = _KNOWN.get(plain, plain)
        return "learning_rate" if is_rate(plain) else _lowered(plain)
    if stage_of(name) != of:
        return name
    return f"eval_{_lowered(bare(name, of))}"


def is_rate(name: str) -> bool:
    """Whether a name is one that Lightning's LearningRateMonitor gives the rate of a first parameter group."""
    return _RATE_OF_A_MONITOR.fullmatch(name) is not None


def _lowered(name: str) -> str:
    lowered = name.lower()
    return lowered if lowered in ("loss", "accuracy") else name
