"""The faults of the cases, each as what a recipe takes: rates of steps, and alterations of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from steersman_bench.steer.tasks.supervised import Batch

Rate = Callable[[int], float]


def constant(step: int) -> float:
    """Return 1 at every step."""
    return 1.0


def spike(at: int, times: float, length: int = 4, *, of: Rate = constant) -> Rate:
    """Return a schedule that is `times` as high for a few steps."""
    return lambda step: of(step) * (times if at <= step < at + length else 1.0)


def cosine(steps: int, warmup: int = 0) -> Rate:
    """Return a schedule that rises in a line and falls as half a cosine."""

    def rate(step: int) -> float:
        if step <= warmup:
            return step / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup + 1, 1)))

    return rate


def stairs(steps: int, parts: int = 3, factor: float = 0.3) -> Rate:
    """Return a schedule that falls by a factor after each part of the run."""
    return lambda step: factor ** ((step - 1) * parts // steps)


def linear(steps: int, warmup: int = 0) -> Rate:
    """Return a schedule that rises in a line and falls in a line, as the HF Trainer's default."""
    return lambda step: step / warmup if step <= warmup else (steps - step + 1) / (steps - warmup)


def noisy_labels(begin: int, end: int, share: float = 1.0) -> Batch:
    """Return an alteration that draws a share of the labels by lot in the steps from `begin` to before `end`."""

    def alter(step: int, x: Any, y: Any, chance: torch.Generator) -> tuple[Any, Any]:
        if not begin <= step < end:
            return x, y
        drawn = torch.randint(int(y.max()) + 1, y.shape, generator=chance)
        return x, torch.where(torch.rand(y.shape, generator=chance) < share, drawn, y)

    return alter


def overflow(at: int, size: float) -> Batch:
    """Return an alteration that makes the inputs of one step huge, though finite."""
    return lambda step, x, y, chance: (x * size if step == at else x, y)


def outliers(share: float, size: float, begin: int = 1) -> Batch:
    """Return an alteration that adds huge errors to a share of the targets."""

    def alter(step: int, x: Any, y: Any, chance: torch.Generator) -> tuple[Any, Any]:
        if step < begin:
            return x, y
        hit = torch.rand(y.shape, generator=chance) < share
        return x, y + hit * size * torch.randn(y.shape, generator=chance)

    return alter


def shifted_labels(begin: int, classes: int) -> Batch:
    """Return an alteration by which every label is the next one, from a step on."""
    return lambda step, x, y, chance: (x, (y + 1) % classes if step >= begin else y)


def scaled_inputs(begin: int, size: float) -> Batch:
    """Return an alteration by which inputs come without their usual scaling, from a step on."""
    return lambda step, x, y, chance: (x * size if step >= begin else x, y)
