"""Tables of numbers and categories whose label is drawn by chance from a rule of thresholds."""

from __future__ import annotations

import numpy as np

from steersman_bench.select.families import judging, models
from steersman_bench.select.families.problem import TEST, VALIDATION, Generator, Problem, settings_of, size_of

_NUMBERS, _CATEGORIES, _LEVELS = 10, 3, 4


def draw(draw: Generator) -> Problem:
    """Return a training on 100 to 4,000 rows of ten numbers and three categories, with two or three classes."""
    size, classes = size_of(draw, 100, 4000), int(draw.integers(2, 4))
    total = VALIDATION + TEST + size
    numbers = draw.normal(size=(total, _NUMBERS))
    numbers[:, :3] = np.exp(0.7 * numbers[:, :3]) - 1.3  # some are skewed, as amounts are
    levels = draw.integers(_LEVELS, size=(total, _CATEGORIES))
    inputs = np.concatenate([numbers, np.eye(_LEVELS)[levels].reshape(total, -1)], axis=1)
    logits = inputs @ draw.normal(scale=0.4, size=(inputs.shape[1], classes))
    for _ in range(12):  # rules of two thresholds
        one, other = draw.choice(inputs.shape[1], size=2, replace=False)
        holds = (inputs[:, one] > draw.normal(scale=0.5)) & (inputs[:, other] > draw.normal(scale=0.5))
        logits = logits + holds[:, None] * draw.normal(size=classes)
    sharpness = float(draw.uniform(0.7, 3.0))
    labels = np.argmax(sharpness * logits + draw.gumbel(size=logits.shape), axis=1)
    noise = float(draw.choice([0.0, 0.0, 0.1, 0.3]))
    wrong = draw.random(total) < noise
    labels[wrong] = draw.integers(classes, size=int(wrong.sum()))
    validation, test, train = judging.split(inputs, labels, VALIDATION, TEST, size)
    width, layers = size_of(draw, 8, 128), int(draw.integers(0, 3))
    settings = settings_of(draw, size, adam=(-3.3, -1.5), sgd=(-2.5, -0.5))
    models.seeded(draw)
    model = models.perceptron(inputs.shape[1], width, layers, classes, "relu")
    kind = f"perceptron of {layers} x {width}" if layers else "linear"
    return Problem(
        model, train, validation, test, judging.cross_entropy, judging.accuracy, "accuracy", settings,
        {"model": kind, "train_size": size, "noise": noise},
    )  # fmt: skip
