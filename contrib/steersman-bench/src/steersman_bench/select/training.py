"""Trains one problem and keeps what was logged, and how each candidate did on the two splits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen

from steersman_bench.select.candidates import EVALUATIONS, windows
from steersman_bench.select.families.problem import Problem, Settings

LOGS = 4
"""How often is logged from one evaluation to the next."""
_AT_ONCE = 256
"""Examples of the test split that are evaluated together: what fits a cache."""


@frozen(eq=False)
class Trained:
    """What came of one training; a row for each candidate, a value for each log."""

    validation: npt.NDArray[np.float32]
    test: npt.NDArray[np.float64]
    task: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float32]
    learning_rate: npt.NDArray[np.float32]


def train(problem: Problem) -> Trained:
    """Train to the end, then evaluate every checkpoint and every average of the weights."""
    model, settings = problem.model, problem.settings
    kept, logs = [_weights(model)], list[tuple[float, float]]()
    every = settings.steps // (EVALUATIONS * LOGS)
    losses = list[float]()
    for step, (loss, rate) in enumerate(_steps(problem), 1):
        losses.append(loss)
        if step % every == 0:
            logs.append((math.fsum(losses) / every, rate))
            losses.clear()
        if step % (every * LOGS) == 0:
            kept.append(_weights(model))
    judged = [_judged(problem, torch.stack([kept[at] for at in window]).mean(0)) for window in windows()]
    logged = np.array(logs, dtype=np.float32)
    return Trained(
        np.stack([validation for validation, _, _ in judged]),
        np.array([test for _, test, _ in judged]),
        np.array([task for _, _, task in judged]),
        logged[:, 0],
        logged[:, 1],
    )


def rate_at(settings: Settings, step: int) -> float:
    """Return the learning rate of a step, from 0."""
    part = step / settings.steps
    factor = {
        "constant": 1.0,
        "cosine": 0.5 * (1.0 + math.cos(math.pi * part)),
        "linear": 1.0 - part,
        "warmup": min(1.0, part / 0.1 + 1.0 / settings.steps),
    }[settings.schedule]
    return settings.learning_rate * factor


def _steps(problem: Problem) -> Iterator[tuple[float, float]]:
    """Yield the loss and the learning rate of each step that is made."""
    settings, (inputs, targets) = problem.settings, problem.train
    parameters = [*problem.model.parameters()]
    optimizer: Any = (
        torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        if settings.optimizer == "adam"
        else torch.optim.SGD(
            parameters, lr=settings.learning_rate, momentum=0.9, weight_decay=settings.weight_decay / 10
        )
    )
    left = torch.empty(0, dtype=torch.long)
    for step in range(settings.steps):
        rate = optimizer.param_groups[0]["lr"] = rate_at(settings, step)
        while len(left) < settings.batch:
            left = torch.cat([left, torch.randperm(len(inputs))])
        at, left = left[: settings.batch], left[settings.batch :]
        loss = problem.losses(problem.model(inputs[at]), targets[at]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        yield loss.item(), rate


def _weights(model: Any) -> Any:
    return torch.nn.utils.parameters_to_vector(model.parameters()).detach().clone()


@torch.inference_mode()  # type: ignore[untyped-decorator, unused-ignore]
def _judged(problem: Problem, weights: Any) -> tuple[npt.NDArray[np.float32], float, float]:
    """Return the validation losses, and the mean loss and the mean of the task's metric on the test split."""
    torch.nn.utils.vector_to_parameters(weights, problem.model.parameters())
    validation: npt.NDArray[np.float32] = problem.losses(
        problem.model(problem.validation[0]), problem.validation[1]
    ).numpy()
    loss = task = 0.0
    for inputs, targets in zip(*(part.split(_AT_ONCE) for part in problem.test), strict=True):
        outputs = problem.model(inputs)
        loss += problem.losses(outputs, targets).double().sum().item()
        task += problem.task(outputs, targets).double().sum().item()
    size = len(problem.test[1])
    return validation, loss / size, task / size
