"""Faults of other kinds than those the shipped rules were made for; no rule was tuned on them."""

from __future__ import annotations

from typing import Any

import torch
from attrs import evolve

from steersman_bench.steer import faults
from steersman_bench.steer.case import Case
from steersman_bench.steer.tasks.classification import classification
from steersman_bench.steer.tasks.language import language
from steersman_bench.steer.tasks.supervised import Pairs, Recipe
from steersman_bench.steer.training import Training

_SGD = Recipe(optimizer="sgd", lr=0.02, rate=faults.cosine(240))
_ADAMW = Recipe(optimizer="adamw", lr=3e-3, weight_decay=0.01, rate=faults.cosine(240))
_ONSET = 90


def _momentum(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, momentum=0.999) if sick else _SGD)


def _beta2(seed: int, sick: bool) -> Training:
    recipe = evolve(_ADAMW, optimizer="adam", lr=1e-2, weight_decay=0.0)
    return language(seed, evolve(recipe, beta2=0.1) if sick else recipe)


def _weight_decay(seed: int, sick: bool) -> Training:
    recipe = evolve(_SGD, weight_decay=1e-3)
    return classification(seed, evolve(recipe, weight_decay=1.0) if sick else recipe)


def _eightfold(step: int) -> float:
    return 8.0


def _accumulated(seed: int, sick: bool) -> Training:
    recipe = evolve(_SGD, lr=0.1)
    return classification(seed, evolve(recipe, gradient_scale=_eightfold) if sick else recipe)


def _by_class(pairs: Pairs, chance: torch.Generator, count: int) -> Any:
    """Return an order by lot up to the onset, then one class after the other."""
    by_lot = torch.randint(len(pairs.y), (_ONSET * 32,), generator=chance)
    rest = torch.randint(len(pairs.y), (count - _ONSET * 32,), generator=chance)
    return torch.cat([by_lot, rest[pairs.y[rest].argsort(stable=True)]])


def _sorted(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, order=_by_class) if sick else _SGD)


def _shifted(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, batches=faults.shifted_labels(_ONSET + 1, 8)) if sick else _SGD)


def _unscaled(seed: int, sick: bool) -> Training:
    recipe = evolve(_SGD, batches=faults.scaled_inputs(_ONSET + 1, 8.0)) if sick else _SGD
    return classification(seed, recipe)


def _underflow(seed: int, sick: bool) -> Training:
    training = classification(seed, _SGD)

    def flush(step: int) -> None:
        for parameter in training.model.parameters():
            parameter.grad.mul_(parameter.grad.abs() >= 0.1)  # what is smaller is 0, as in half precision unscaled

    if sick:
        training.gradient = flush
    return training


CASES = (
    Case("momentum 0.999", "held-out", _momentum),
    Case("Adam beta2 0.1", "held-out", _beta2),
    Case("weight decay x1000", "held-out", _weight_decay),
    Case("gradients x8, an accumulation bug", "held-out", _accumulated),
    Case("data sorted by class from step 91", "held-out", _sorted, onset=_ONSET + 1),
    Case("labels shifted by one from step 91", "held-out", _shifted, onset=_ONSET + 1),
    Case("inputs eight times as large from step 91", "held-out", _unscaled, onset=_ONSET + 1),
    Case("gradients that underflow", "held-out", _underflow),
)
