"""Sick perceptrons and a sick recurrent network, whose faults a good hand at the wheel can mend."""

from __future__ import annotations

from attrs import evolve

from steersman_bench.steer import faults
from steersman_bench.steer.case import Case
from steersman_bench.steer.tasks.classification import classification, regression
from steersman_bench.steer.tasks.sequences import remembering
from steersman_bench.steer.tasks.supervised import Recipe
from steersman_bench.steer.training import Training

_SGD = Recipe(optimizer="sgd", lr=0.05, rate=faults.cosine(240))


def _spike(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, rate=faults.spike(63, 150, of=_SGD.rate)) if sick else _SGD)


def _late_burst(seed: int, sick: bool) -> Training:
    recipe = evolve(_SGD, lr=0.05, rate=faults.constant)
    return classification(seed, evolve(recipe, batches=faults.noisy_labels(171, 241)) if sick else recipe)


def _middle_burst(seed: int, sick: bool) -> Training:
    burst = faults.noisy_labels(71, 91)
    return classification(seed, evolve(_SGD, batches=burst) if sick else _SGD)


def _exploding(seed: int, sick: bool) -> Training:
    recipe = Recipe(optimizer="sgd", lr=0.003, momentum=0.0)
    return remembering(seed, recipe, scale=1.3 if sick else 1.0)


def _overflow(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, batches=faults.overflow(83, 1e6)) if sick else _SGD)


def _outliers(seed: int, sick: bool) -> Training:
    recipe = Recipe(optimizer="sgd", lr=0.05)
    return regression(seed, evolve(recipe, batches=faults.outliers(0.01, 30)) if sick else recipe)


def _too_high(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, lr=75 * _SGD.lr) if sick else _SGD)


def _too_low(seed: int, sick: bool) -> Training:
    return classification(seed, evolve(_SGD, lr=_SGD.lr / 100) if sick else _SGD)


def _noise_floor(seed: int, sick: bool) -> Training:
    recipe = Recipe(optimizer="sgd", lr=0.1, steps=480)
    return classification(seed, evolve(recipe, batch=4) if sick else recipe, label_noise=0.2)


def _overfitting(seed: int, sick: bool) -> Training:
    return classification(seed, Recipe(optimizer="adam", lr=0.01), samples=60 if sick else 3000, hidden=(64,))


CASES = (
    Case("LR spike, perceptron", "fixable", _spike, onset=63),
    Case("label-noise burst, late", "fixable", _late_burst, onset=171),
    Case("label-noise burst, middle", "fixable", _middle_burst, onset=71),
    Case("exploding recurrent network", "fixable", _exploding),
    Case("overflowing batch", "fixable", _overflow, onset=83),
    Case("1 % outliers", "fixable", _outliers),
    Case("LR x75 too high", "fixable", _too_high),
    Case("LR /100 too low", "fixable", _too_low),
    Case("noise floor, batches of 4", "fixable", _noise_floor),
    Case("overfitting, 60 samples", "fixable", _overfitting),
)
