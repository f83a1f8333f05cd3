"""Runs made up for tests of `bench select`, and where the strategies of tests lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from steersman_bench.select.candidates import windows
from steersman_bench.select.curves import Curves


def a_run(name: str, losses: Sequence[float], *, averaged: float = 0.0, family: str = "tabular") -> Curves:
    """Return a run with these losses, the untrained model's first, in both splits and at every example.

    The loss of an average is the mean of those of its checkpoints less `averaged`; the accuracy is 1 - loss / 10.
    """
    of = np.array([np.mean([losses[at] for at in window]) - averaged * (len(window) > 1) for window in windows()])
    return Curves(
        family,
        name,
        200,
        True,
        np.repeat(of[:, None], 256, axis=1).astype(np.float16),
        of,
        1 - of / 10,
        np.full((80, 2), 0.5, dtype=np.float32),
        {"batch": 10, "train_size": 100, "parameters": 1},
    )


VALLEY = (10.0, *(abs(at - 8.0) + 2.0 for at in range(1, 21)))
"""The lowest loss, 2, is that of checkpoint 8, at step 80 of 200; the untrained model has 10, the last checkpoint 14."""


@pytest.fixture
def run_of() -> Callable[..., Curves]:
    """Return what makes a run of 21 losses."""
    return a_run


@pytest.fixture
def valley() -> Curves:
    """Return the run of which the lowest loss is that of checkpoint 8."""
    return a_run("valley", VALLEY)


@pytest.fixture
def low_averages() -> Curves:
    """Return the same with averages that are better by 1 than the mean of their losses."""
    return a_run("valley", VALLEY, averaged=1.0)


@pytest.fixture
def under_test(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the module that holds the strategies of these tests, importable by its name."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "strategies")
    return "select_strategies"
