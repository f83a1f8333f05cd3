"""Which weights of a run are candidates: each evaluated checkpoint, and the mean of three or five in a row."""

from __future__ import annotations

EVALUATIONS = 20
"""How often a run is evaluated, the untrained model left out."""
WINDOWS = (3, 5)
RAW = EVALUATIONS + 1
"""The untrained model and the checkpoints come first; the averages follow."""


def windows() -> tuple[tuple[int, ...], ...]:
    """Return the numbers of the checkpoints, from 1, that each candidate is the mean of; the untrained one is (0,)."""
    averages = [tuple(range(first, first + n)) for n in WINDOWS for first in range(1, EVALUATIONS - n + 2)]
    return (*((at,) for at in range(RAW)), *averages)
