"""A case that a trainer runs: what it is made of, and what driving it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import field, frozen

from steersman_bench.steer.case import Subject


@frozen
class Ways:
    """How a trainer is to be set up: where it writes, at which norm it clips (0: it does not), whether it loads the
    best checkpoint at its end.
    """

    folder: Path
    clip: float
    load_best: bool


@frozen
class Trained:
    """A trainer that waits for its `train`, and its test on data that the run never sees: lower is better."""

    trainer: Any
    test: Callable[[], float]


@frozen
class TrainerCase(Subject):
    """`make(seed, sick, ways)` is the trainer; without `sick` its healthy twin.

    `ranked_by` is the metric that ranks the checkpoints in place of the eval loss, higher is better; empty: none does.
    """

    make: Callable[[int, bool, Ways], Trained]
    ranked_by: str = field(default="", kw_only=True)
