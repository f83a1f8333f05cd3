"""What a family hands to the training: a model, its data in three splits, how it is judged, and how it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from attrs import frozen

Generator = np.random.Generator
Optimizer = Literal["adam", "sgd"]
Schedule = Literal["constant", "cosine", "linear", "warmup"]
VALIDATION, TEST = 256, 2048
"""Examples of the validation split, of which a strategy sees the losses of some, and of the test split."""


@frozen
class Settings:
    """How a model is trained. `steps` is a multiple of 80: there are 20 evaluations, and four logs to each."""

    optimizer: Optimizer
    learning_rate: float
    schedule: Schedule
    steps: int
    batch: int
    weight_decay: float = 0.0


@frozen(eq=False)
class Problem:
    """One training. Each split is inputs and targets; `losses` and `task` give a value for each example.

    `metric` is what `task` is called; `told` are the facts that are drawn, for whoever reads the recording.
    """

    model: Any
    train: tuple[Any, Any]
    validation: tuple[Any, Any]
    test: tuple[Any, Any]
    losses: Callable[[Any, Any], Any]
    task: Callable[[Any, Any], Any]
    metric: Literal["accuracy", "absolute error"]
    settings: Settings
    told: dict[str, Any]


Draw = Callable[[Generator], Problem]
"""What a family is: a training for each state of a generator."""


def settings_of(draw: Generator, size: int, *, adam: tuple[float, float], sgd: tuple[float, float]) -> Settings:
    """Return drawn settings for `size` examples, of which each is seen 3 to 80 times where 720 steps are enough.

    `adam` and `sgd` are the lowest and the highest learning rate, as powers of ten.
    """
    optimizer: Optimizer = "adam" if draw.random() < 0.7 else "sgd"
    low, high = adam if optimizer == "adam" else sgd
    batch = int(draw.choice(np.array([n for n in (8, 16, 32, 64) if n <= size // 4])))
    steps = size_of(draw, 3, 80) * size / batch
    schedules: tuple[Schedule, ...] = ("constant", "cosine", "linear", "warmup")
    return Settings(
        optimizer,
        float(10 ** draw.uniform(low, high)),
        schedules[int(draw.choice(4, p=[0.4, 0.25, 0.15, 0.2]))],
        80 * min(max(round(steps / 80), 1), 9),
        batch,
        float(draw.choice([0.0, 0.0, 0.01])),
    )


def size_of(draw: Generator, low: int, high: int) -> int:
    """Return a number between `low` and `high` whose logarithm is spread evenly."""
    return round(math.exp(draw.uniform(math.log(low), math.log(high))))
