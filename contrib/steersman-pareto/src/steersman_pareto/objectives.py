"""What is wanted of a metric, the scale it is read on, and what several of them come to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from attrs import frozen


@frozen
class Objective:
    """A metric to be good at: how much it counts, which way it is better, and its reference points.

    `ideal` is a value that would be perfect and `nadir` one that is as bad as it may get, both in the metric's unit.
    """

    weight: float = 1.0
    direction: Literal["lower", "higher"] = "lower"
    ideal: float | None = None
    nadir: float | None = None

    def __attrs_post_init__(self) -> None:
        if not math.isfinite(self.weight) or self.weight <= 0:
            raise ValueError(f"the weight must be above 0, got {self.weight}; say `direction: higher` to turn it")
        for name, point in (("ideal", self.ideal), ("nadir", self.nadir)):
            if point is not None and not math.isfinite(point):
                raise ValueError(f"{name} must be a finite number, got {point}")
        if self.ideal is not None and self.nadir is not None and self.sign * (self.nadir - self.ideal) <= 0:
            raise ValueError(
                f"the ideal {self.ideal:g} must be {self.direction} than the nadir {self.nadir:g}; "
                f"turn them round, or set `direction: {'higher' if self.sign > 0 else 'lower'}`"
            )

    @property
    def sign(self) -> float:
        """1 where lower is better, -1 where higher is."""
        return 1.0 if self.direction == "lower" else -1.0


@frozen
class Scale:
    """How a metric is read: 1 at `nadir`, 0 a `unit` better than it; lower is better."""

    nadir: float
    unit: float
    sign: float

    def read(self, value: float) -> float:
        """Return where `value` lies: its distance from the ideal as a share of the nadir's."""
        return 1 + self.sign * (value - self.nadir) / self.unit


def scale_of(objective: Objective, first: float | None) -> Scale | None:
    """Return the scale of an objective whose first value in the run is `first`, or None where it needs one still.

    The nadir is the given one, else the first value. The unit is the distance from it to the ideal: the given one,
    else 0 where lower is better and 1 where higher is and the nadir lies in [0, 1), as for an accuracy. Where there is
    no ideal, or no distance to it, the unit is the size of the nadir, and 1 where that is 0.
    """
    nadir = first if objective.nadir is None else objective.nadir
    if nadir is None:
        return None
    ideal = objective.ideal
    if ideal is None and objective.direction == "lower" and nadir > 0:
        ideal = 0.0
    if ideal is None and objective.direction == "higher" and 0 <= nadir < 1:
        ideal = 1.0
    unit = abs(nadir - ideal) if ideal is not None else 0.0
    return Scale(nadir, unit or abs(nadir) or 1.0, objective.sign)


def weighted_sum(read: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the terms of the weighted mean of values read on their scales; lower is better.

    Source: Miettinen (1999), Nonlinear Multiobjective Optimization, section 3.1.
    """
    total = sum(weights.values())
    return {name: weights[name] / total * value for name, value in read.items()}


def tchebycheff(read: Mapping[str, float], weights: Mapping[str, float], augmentation: float) -> dict[str, float]:
    """Return the terms of the largest weighted value, plus `augmentation` times the sum of all; lower is better.

    The sum makes every optimum Pareto optimal: of two with the same worst objective the better in the rest wins.
    Sources: Wierzbicki (1980), The Use of Reference Objectives; Miettinen (1999), section 3.4.
    """
    total = sum(weights.values())
    weighted = {name: weights[name] / total * value for name, value in read.items()}
    return {"worst": max(weighted.values()), "augmentation": augmentation * sum(weighted.values())}
