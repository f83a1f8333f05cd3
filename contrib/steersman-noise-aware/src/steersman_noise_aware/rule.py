"""The one-standard-error rule as scores that are given once and never change.

A reference is the significantly lowest value so far. It scores its own value. What ties with it scores around it, in
the order of the second metric. What is significantly lower becomes the next reference, and scores below everything.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Literal

from attrs import evolve, frozen

MAD_TO_SIGMA = 1.4826
"""The standard deviation of a normal distribution is this times its median absolute deviation (Hampel 1974)."""


@frozen
class Reference:
    """The significantly lowest value so far, at `step`; lower is better in `value` and in `second`.

    `standard_error` is None where it is not known yet: then nothing ties. Every score from before this reference is
    above `ceiling`, which is None where there is none.
    """

    step: int
    value: float
    second: float
    standard_error: float | None = None
    ceiling: float | None = None

    @property
    def width(self) -> float:
        """How far around `value` its ties are spread: one standard error, less where that reaches the ceiling."""
        error = self.standard_error or 0.0
        return error if self.ceiling is None else min(error, self.ceiling - self.value)


@frozen
class Judged:
    """What an evaluation is against the reference, its score (lower is better), and the reference from then on."""

    verdict: Literal["better", "tied", "worse"]
    score: float
    reference: Reference


def squash(x: float) -> float:
    """Return a number in (0, 1) that rises strictly with `x`: the softsign of its inverse hyperbolic sine.

    The inner function is a logarithm far from 0, so a difference of one part in 10^10 is kept whatever the unit.
    """
    folded = math.asinh(x)
    return 0.5 + 0.5 * folded / (1 + abs(folded))


def judge(reference: Reference | None, candidate: Reference) -> Judged:
    """Return the verdict on `candidate`, whose `ceiling` is not looked at.

    Ties are scored reference + width * (squash(second) - squash(second of the reference)). They stay within one
    standard error of the reference, and below every score from before it.
    Source: Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees, 3.4.3.
    """
    if reference is None:
        return Judged("better", candidate.value, candidate)
    error = reference.standard_error or 0.0
    if candidate.value < reference.value - error:
        lower = evolve(candidate, ceiling=reference.value - reference.width)
        return Judged("better", candidate.value, lower)
    if candidate.value > reference.value + error:
        return Judged("worse", candidate.value, reference)
    order = squash(candidate.second) - squash(reference.second)
    return Judged("tied", reference.value + reference.width * order, reference)


def wobble(values: Sequence[float], needed: int) -> float | None:
    """Return the noise of one evaluation, as a standard deviation, from neighbouring ones; None below `needed` values
    or where the differences overflow.

    It is MAD * 1.4826 / sqrt(2) of the differences of neighbours: the difference of two independent evaluations has
    sqrt(2) times the noise of one, and the median takes a steady trend away.
    """
    if len(values) < max(needed, 2):
        return None
    steps = [b - a for a, b in itertools.pairwise(values)]
    middle = statistics.median(steps)
    noise = statistics.median(abs(step - middle) for step in steps) * MAD_TO_SIGMA / math.sqrt(2)
    return noise if math.isfinite(noise) else None
