"""Series made by a rule: which motif is hidden in one, for a convolution or a recurrent network."""

from __future__ import annotations

from typing import Any

import numpy as np

from steersman_bench.select.families import judging, models
from steersman_bench.select.families.problem import TEST, VALIDATION, Generator, Problem, settings_of, size_of

_LENGTH, _MOTIF = 32, 9


def draw(draw: Generator) -> Problem:
    """Return a training on 100 to 3,000 series of 32 values, each with one of four to six motifs at some place."""
    size, classes = size_of(draw, 100, 3000), int(draw.integers(4, 7))
    total = VALIDATION + TEST + size
    motifs = draw.normal(scale=1.5, size=(classes, _MOTIF))
    labels, places = draw.integers(classes, size=total), draw.integers(_LENGTH - _MOTIF, size=total)
    inputs = float(draw.uniform(0.3, 1.2)) * draw.normal(size=(total, _LENGTH))
    inputs[np.arange(total)[:, None], places[:, None] + np.arange(_MOTIF)] += motifs[labels]
    noise = float(draw.choice([0.0, 0.0, 0.15, 0.35]))
    wrong = draw.random(total) < noise
    labels[wrong] = draw.integers(classes, size=int(wrong.sum()))
    validation, test, train = judging.split(inputs, labels, VALIDATION, TEST, size)
    width, recurrent = int(draw.choice([8, 16, 32])), draw.random() < 0.4
    settings = settings_of(draw, size, adam=(-3.0, -1.6), sgd=(-1.8, -0.3))
    models.seeded(draw)
    model: Any = models.Recurrent(width, classes) if recurrent else models.convolution(width // 2, classes)
    return Problem(
        model, train, validation, test, judging.cross_entropy, judging.accuracy, "accuracy", settings,
        {
            "model": f"{'recurrent' if recurrent else 'convolution'} of width {width}",
            "train_size": size,
            "noise": noise,
        },
    )  # fmt: skip
