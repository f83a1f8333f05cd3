"""A case of the benchmark: a training with a fault beside the same without it, or one that is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import frozen

from steersman_bench.steer.training import Training

Group = Literal["fixable", "unfixable", "rl", "held-out", "healthy"]
SICK: tuple[Group, ...] = ("fixable", "unfixable", "rl", "held-out")
"""The groups whose cases have a fault and a healthy twin."""


@frozen
class Case:
    """`make(seed, sick)` is the training; without `sick` its healthy twin: all the same but for the fault.

    `onset` is the first step at which the fault acts. `diagnoses` are words of which the name of a finding holds one
    where it calls the fault by its name, for faults that nothing can adjust away.
    """

    name: str
    group: Group
    make: Callable[[int, bool], Training]
    onset: int = 1
    diagnoses: tuple[str, ...] = ()
