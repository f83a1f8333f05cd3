"""One small training: everything the loop of the benchmark needs of a case, made from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define

from steersman import Hyperparameter


def _constant(step: int) -> float:
    return 1.0


def _sound(step: int) -> None:
    return None


@define(eq=False, kw_only=True)
class Training:
    """A model, its optimizer and its data. Steps are counted from 1.

    `learn` returns the loss of a step, to go backward from, and what is logged beside it. `evaluate` is what the run is
    told of itself; `test` is what nobody in the run sees: lower is better, on data of its own. `rate` is what the
    learning rate of a step is multiplied by: the schedule, and a fault of it. `gradient` is a fault of the gradients,
    made after the backward pass.
    """

    model: Any
    optimizer: Any
    learn: Callable[[int], tuple[Any, Mapping[str, Any]]]
    evaluate: Callable[[], Mapping[str, Any]]
    test: Callable[[], float]
    steps: int = 240
    eval_every: int = 10
    log_every: int = 5
    warmup: int = 0
    rate: Callable[[int], float] = _constant
    gradient: Callable[[int], None] = _sound
    hyperparameters: tuple[Hyperparameter, ...] = ()
