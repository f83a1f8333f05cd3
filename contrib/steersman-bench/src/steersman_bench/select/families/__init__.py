"""The trainings that are recorded: what each family draws, made from a seed and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES: Mapping[str, int] = {
    "language_models": 34,
    "noisy_classes": 36,
    "tabular": 24,
    "regressions": 30,
    "sequences": 24,
}
"""How many trainings of each family are made; a module of that name has its `draw`."""
