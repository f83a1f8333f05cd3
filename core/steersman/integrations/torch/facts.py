"""What optimizers and schedulers tell of a run."""

from __future__ import annotations

from typing import Any

from steersman.hyperparameters import Entry
from steersman.integrations.torch.learning_rate import LearningRate, why_unsupported

_ADAPTIVE = ("ReduceLROnPlateau", "GreedyLR")


def adaptive(scheduler: Any) -> str:
    """Return the name of a scheduler that moves the rate by the metrics it hears, else nothing; wrappers are opened."""
    while scheduler is not None:
        if type(scheduler).__name__ in _ADAPTIVE:
            return type(scheduler).__name__
        scheduler = getattr(scheduler, "scheduler", None)
    return ""


def learning_rate_of(optimizer: Any) -> dict[str, Entry]:
    """Return the entry of the learning rate: live, or unsupported with the reason."""
    reason = why_unsupported(optimizer)
    entry = Entry("learning_rate", None if reason else LearningRate(optimizer), "unsupported" if reason else "live")
    entry.reason, entry.safer = reason, "down"
    return {"learning_rate": entry}
