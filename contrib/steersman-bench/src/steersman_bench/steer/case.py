"""A case of the benchmark: a training with a fault beside the same without it, or one that is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from attrs import field, frozen

from steersman_bench.steer.training import Training

Group = Literal["fixable", "unfixable", "rl", "held-out", "healthy"]
SICK: tuple[Group, ...] = ("fixable", "unfixable", "rl", "held-out")
"""The groups whose cases have a fault and a healthy twin."""


@frozen
class Subject:
    """What the table must know of a case.

    `onset` is the first step at which the fault acts. `diagnoses` are words of which the name of a finding holds one
    where it calls the fault by its name, for faults that nothing can adjust away. It is evaluated every `eval_every`
    steps.
    """

    name: str
    group: Group
    onset: int = field(default=1, kw_only=True)
    diagnoses: tuple[str, ...] = field(default=(), kw_only=True)
    eval_every: int = field(default=10, kw_only=True)


@frozen
class Case(Subject):
    """`make(seed, sick)` is the training; without `sick` its healthy twin: all the same but for the fault."""

    make: Callable[[int, bool], Training]
