"""Supervised faults that no hyperparameter can mend: the right answer is to say what is wrong, and change nothing."""

from __future__ import annotations

from steersman_bench.steer.case import Case
from steersman_bench.steer.tasks.classification import classification
from steersman_bench.steer.tasks.supervised import Recipe
from steersman_bench.steer.training import Training


def _dying(seed: int, sick: bool) -> Training:
    return classification(seed, Recipe(lr=0.05), hidden=(32, 32), bias=-30.0 if sick else 0.0)


def _vanishing(seed: int, sick: bool) -> Training:
    return classification(
        seed, Recipe(lr=0.05), hidden=(16,) * (10 if sick else 1), activation="sigmoid" if sick else "tanh"
    )


CASES = (
    Case("dying ReLU", "unfixable", _dying, diagnoses=("dead", "dying", "zero-grad")),
    Case("vanishing gradient", "unfixable", _vanishing, diagnoses=("vanish",)),
)
