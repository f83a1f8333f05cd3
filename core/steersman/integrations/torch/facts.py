"""What schedulers tell of a run."""

from __future__ import annotations

from typing import Any

_ADAPTIVE = ("ReduceLROnPlateau", "GreedyLR")


def adaptive(scheduler: Any) -> str:
    """Return the name of a scheduler that moves the rate by the metrics it hears, else nothing; wrappers are opened."""
    while scheduler is not None:
        if type(scheduler).__name__ in _ADAPTIVE:
            return type(scheduler).__name__
        scheduler = getattr(scheduler, "scheduler", None)
    return ""
