"""Ten classes of small pictures with wrong labels, and perceptrons that may learn them by heart."""

from __future__ import annotations

import numpy as np

from steersman_bench.select.families import judging, models
from steersman_bench.select.families.problem import TEST, VALIDATION, Generator, Problem, settings_of, size_of

_CLASSES, _STYLES, _SIDE = 10, 3, 8


def draw(draw: Generator) -> Problem:
    """Return a training on 80 to 3,000 pictures of 8 x 8, each of a class in one of three styles.

    The share of wrong labels is that of the training split; in half of the runs those of the other two are wrong as
    often.
    """
    size = size_of(draw, 80, 3000)
    total = VALIDATION + TEST + size
    waves = np.cos(np.pi * np.outer(np.arange(4), np.arange(_SIDE) + 0.5) / _SIDE)
    shapes = np.einsum("cskl,kx,ly->csxy", draw.normal(size=(_CLASSES, _STYLES, 4, 4)), waves, waves)
    shapes = shapes.reshape(_CLASSES, _STYLES, -1)
    labels, style = draw.integers(_CLASSES, size=total), draw.integers(_STYLES, size=total)
    blur = float(draw.uniform(2.0, 6.0))
    inputs = (shapes[labels, style] + blur * draw.normal(size=(total, _SIDE * _SIDE))) / 4.0
    noise = float(draw.choice([0.0, 0.1, 0.2, 0.35, 0.5]))
    clean = 0 if draw.random() < 0.5 else VALIDATION + TEST
    wrong = (draw.random(total) < noise) & (np.arange(total) >= clean)
    labels[wrong] = draw.integers(_CLASSES, size=int(wrong.sum()))
    validation, test, train = judging.split(inputs, labels, VALIDATION, TEST, size)
    width, layers = size_of(draw, 16, 200), int(draw.integers(1, 3))
    settings = settings_of(draw, size, adam=(-3.5, -1.8), sgd=(-2.3, -0.5))
    models.seeded(draw)
    model = models.perceptron(_SIDE * _SIDE, width, layers, _CLASSES, "relu")
    return Problem(
        model, train, validation, test, judging.cross_entropy, judging.accuracy, "accuracy", settings,
        {"model": f"perceptron of {layers} x {width}", "train_size": size, "noise": noise},
    )  # fmt: skip
