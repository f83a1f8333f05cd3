"""Regressions of a smooth function under noise that is normal, heavy-tailed, or grows with the value."""

from __future__ import annotations

import numpy as np

from steersman_bench.select.families import judging, models
from steersman_bench.select.families.problem import TEST, VALIDATION, Generator, Problem, settings_of, size_of

_WAVES = 12


def draw(draw: Generator) -> Problem:
    """Return a training on 40 to 2,000 points of 2 to 10 dimensions; the loss is the squared error."""
    size, inputs_of = size_of(draw, 40, 2000), int(draw.choice([2, 5, 10]))
    total = VALIDATION + TEST + size
    inputs = draw.uniform(-1.0, 1.0, size=(total, inputs_of))
    waves = draw.normal(scale=2.0 / np.sqrt(inputs_of), size=(inputs_of, _WAVES))
    value = np.sin(inputs @ waves + draw.uniform(0, 2 * np.pi, _WAVES)) @ draw.normal(size=_WAVES)
    value = (value - value.mean()) / value.std()
    noise, kind = float(draw.choice([0.1, 0.3, 0.6, 1.0])), str(draw.choice(["normal", "heavy", "growing"]))
    error = draw.standard_t(4, size=total) / np.sqrt(2.0) if kind == "heavy" else draw.normal(size=total)
    targets = value + noise * error * (0.3 + np.abs(value) if kind == "growing" else 1.0)
    validation, test, train = judging.split(inputs, targets, VALIDATION, TEST, size)
    width, layers = size_of(draw, 8, 128), int(draw.integers(1, 3))
    activation: models.Activation = ("relu", "tanh", "silu")[int(draw.integers(3))]
    settings = settings_of(draw, size, adam=(-3.3, -1.5), sgd=(-2.5, -0.9))
    models.seeded(draw)
    model = models.perceptron(inputs_of, width, layers, 1, activation)
    return Problem(
        model, train, validation, test, judging.squared, judging.absolute, "absolute error", settings,
        {"model": f"perceptron of {layers} x {width}, {activation}", "train_size": size, "noise": noise},
    )  # fmt: skip
