"""A supervised training on pairs of inputs and targets, with a place for every kind of fault."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import torch
from attrs import field, frozen

from steersman_bench.steer.training import Training

Tensor = Any
Batch = Callable[[int, Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def seeded(seed: int, what: str) -> torch.Generator:
    """Return a source of chance of its own for each use of a seed."""
    return torch.Generator().manual_seed(1_000_003 * seed + zlib.crc32(what.encode()))


def as_it_is(step: int, x: Tensor, y: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch as it is."""
    return x, y


@frozen
class Pairs:
    """Inputs and targets."""

    x: Tensor
    y: Tensor

    def first(self, count: int) -> Pairs:
        """Return the first so many pairs."""
        return Pairs(self.x[:count], self.y[:count])


@frozen
class Data:
    """What is trained on, what the run is evaluated on, and what it never sees."""

    train: Pairs
    validation: Pairs
    test: Pairs


@frozen(kw_only=True)
class Recipe:
    """How a model is trained; the rest of a case is its data and its model. `batches` alters a batch: data faults."""

    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    steps: int = 240
    batch: int = 32
    eval_every: int = 10
    log_every: int = 5
    warmup: int = 0
    validation: int | None = None
    rate: Callable[[int], float] = field(default=lambda step: 1.0)
    batches: Batch = as_it_is
    gradient_scale: Callable[[int], float] | None = None
    order: Callable[[Pairs, torch.Generator, int], Tensor] | None = None


def optimizer_of(recipe: Recipe, model: Any) -> Any:
    """Return the optimizer that a recipe names."""
    parameters = model.parameters()
    if recipe.optimizer == "adamw":
        betas = (0.9, recipe.beta2)
        return torch.optim.AdamW(parameters, recipe.lr, betas=betas, weight_decay=recipe.weight_decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, recipe.lr, betas=(0.9, recipe.beta2), weight_decay=recipe.weight_decay)
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(parameters, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def supervised(seed: int, model: Any, data: Data, loss_of: Callable[[Tensor, Tensor], Tensor], r: Recipe) -> Training:
    """Return the training of a model on pairs; the batches are the same whatever a strategy does."""
    chance, faults = seeded(seed, "batches"), seeded(seed, "faults")
    train = data.train
    order = r.order or _by_lot
    taken = order(train, chance, r.steps * r.batch).view(r.steps, r.batch)
    validation = data.validation if r.validation is None else data.validation.first(r.validation)

    def learn(step: int) -> tuple[Tensor, dict[str, float]]:
        rows = taken[step - 1]
        x, y = r.batches(step, train.x[rows], train.y[rows], faults)
        return loss_of(model(x), y), {}

    def mean_loss(pairs: Pairs) -> float:
        with torch.no_grad():
            return float(loss_of(model(pairs.x), pairs.y))

    def gradient(step: int) -> None:
        scale = 1.0 if r.gradient_scale is None else r.gradient_scale(step)
        if scale != 1.0:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(scale)

    return Training(
        model=model, optimizer=optimizer_of(r, model), learn=learn,
        evaluate=lambda: {"eval_loss": mean_loss(validation)}, test=lambda: mean_loss(data.test),
        steps=r.steps, eval_every=r.eval_every, log_every=r.log_every, warmup=r.warmup, rate=r.rate, gradient=gradient,
    )  # fmt: skip


def _by_lot(pairs: Pairs, chance: torch.Generator, count: int) -> Tensor:
    return torch.randint(len(pairs.y), (count,), generator=chance)
