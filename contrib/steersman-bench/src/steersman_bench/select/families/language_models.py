"""Language models on the text that every Python ships: its own help topics, by byte or by word."""

from __future__ import annotations

import functools
import re
from collections import Counter
from pydoc_data.topics import topics
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from steersman_bench.select.families import judging, models
from steersman_bench.select.families.problem import TEST, VALIDATION, Generator, Problem, settings_of, size_of

_LENGTH, _WORDS = 12, 128
Tokens = npt.NDArray[np.int64]


@functools.cache
def text(unit: Literal["byte", "word"]) -> tuple[Tokens, int]:
    """Return the topics as tokens, and how many kinds there are; rare words are one."""
    told = "\n".join(value for _, value in sorted(topics.items()))
    units: list[Any] = [*told.encode()] if unit == "byte" else re.findall(r"\w+|[^\w\s]", told)
    kept = [one for one, _ in Counter(units).most_common(_WORDS - 1)]
    number = {one: at for at, one in enumerate(kept)}
    return np.array([number.get(one, len(kept)) for one in units], dtype=np.int64), len(kept) + 1


def draw(draw: Generator) -> Problem:
    """Return a training of 3,000 to 60,000 parameters on 40 to 2,000 windows of 12 tokens.

    The windows of the three splits do not overlap. In some, a share of the training tokens is replaced by lot.
    """
    unit: Literal["byte", "word"] = "byte" if draw.random() < 0.6 else "word"
    tokens, kinds = text(unit)
    size = size_of(draw, 40, 2000)
    places = draw.permutation(len(tokens) // (_LENGTH + 1))[: VALIDATION + TEST + size] * (_LENGTH + 1)
    windows = tokens[places[:, None] + np.arange(_LENGTH + 1)]
    noise = float(draw.choice([0.0, 0.0, 0.1, 0.25]))
    given = windows[VALIDATION + TEST :]
    wrong = draw.random(given.shape) < noise
    given[wrong] = draw.integers(kinds, size=int(wrong.sum()))
    validation, test, train = judging.split(windows[:, :-1], windows[:, 1:], VALIDATION, TEST, size)
    width, recurrent = int(draw.choice([16, 32, 48])), draw.random() < 0.5
    settings = settings_of(draw, size, adam=(-2.7, -1.4), sgd=(-1.3, 0.3))
    models.seeded(draw)
    model: Any = models.Recurrent(width, kinds, kinds) if recurrent else models.Attending(width, kinds, _LENGTH)
    kind = f"{unit}s, {'recurrent' if recurrent else 'transformer'} of width {width}"
    return Problem(
        model, train, validation, test, judging.cross_entropy, judging.accuracy, "accuracy", settings,
        {"model": kind, "train_size": size, "noise": noise},
    )  # fmt: skip
