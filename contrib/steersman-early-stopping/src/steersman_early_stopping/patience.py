"""What an improvement is, what a moving average is, and how patience is told: values in, values out."""

from __future__ import annotations

import math
from typing import Literal

Direction = Literal["lower", "higher"]


def improves(
    value: float, best: float | None, *, direction: Direction, min_delta: float = 0.0, min_relative_delta: float = 0.0
) -> bool:
    """Return whether `value` is better than `best` by more than the larger of the two least differences.

    `min_relative_delta` is a share of the size of `best`. NaN and infinity never improve; the first finite value does.
    Source: `min_delta` of Keras' EarlyStopping
    """
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    least = max(min_delta, min_relative_delta * abs(best))
    return value > best + least if direction == "higher" else value < best - least


def averaged(total: float, weight: float, value: float, smoothing: float) -> tuple[float, float]:
    """Return the two sums after `value`; total / weight is the moving average.

    Source: Kingma & Ba (2015), Adam: an exponential moving average, corrected for its bias towards the start
    """
    return smoothing * total + value, smoothing * weight + 1.0


def without(best: float | None, best_step: int) -> str:
    """Return what has been waited for, in words."""
    return "without a finite value" if best is None else f"without improvement on {best:.6g} (step {best_step})"


def used(name: str, step: int, newest: float | None, waited: str, best: float | None, best_step: int) -> str:
    """Return how much patience is used at `step`; `newest` None is no number, `waited` is like `2 of 5 checks`."""
    if newest is None:
        return f"{name} was NaN or infinite, which counts as no improvement: {waited} {without(best, best_step)}"
    if step == best_step:
        return f"{name} {newest:.6g} is the best so far: {waited} of patience used"
    return f"{name} {newest:.6g}: {waited} {without(best, best_step)}"
