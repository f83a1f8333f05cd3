"""Which checkpoints cannot be told from the best: the tied set, a pure function of losses or of scores."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from attrs import frozen

DEVIATIONS = 2.0
"""How many standard errors a checkpoint may be worse than the best and still be tied with it."""
FEWEST_EXAMPLES = 8
"""Per-example losses of fewer examples say nothing of their scatter."""
FEWEST_EVALUATIONS = 6
"""Fewer evaluations say nothing of the noise of their course."""


def tied(best: Sequence[float], others: Mapping[int, Sequence[float]]) -> tuple[int, ...] | None:
    """Return which of the others, by step, are tied with the best, paired by example; in the order given.

    Every sequence holds the losses of the same examples in the same order. Another is tied where the mean of its
    losses less those of the best is at most two standard errors of that difference above zero: a test of paired
    differences, in which what makes an example hard for both drops out. One that is better is tied too. Examples whose
    loss is not finite in either are left out; one with other examples than the best is not tied.
    None where there are fewer than eight examples.
    """
    if len(best) < FEWEST_EXAMPLES:
        return None
    return tuple(step for step, losses in others.items() if _is_tied(best, losses))


def _is_tied(best: Sequence[float], other: Sequence[float]) -> bool:
    found = paired(best, other)
    return found is not None and found.mean <= DEVIATIONS * found.error


@frozen
class Paired:
    """How much higher the losses of another are than ours, example by example: the mean, and its standard error."""

    mean: float
    error: float
    examples: int


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Paired | None:
    """Return how much higher `theirs` are than `ours`, the losses of the same examples in the same order.

    Examples whose loss is not finite in either are left out. None where there are fewer than eight, or other ones.
    """
    if len(ours) != len(theirs):
        return None
    differences = [
        float(other) - float(one)
        for one, other in zip(ours, theirs, strict=True)
        if math.isfinite(one) and math.isfinite(other)
    ]
    if len(differences) < FEWEST_EXAMPLES:
        return None
    mean = math.fsum(differences) / len(differences)
    error = statistics.stdev(differences, mean) / math.sqrt(len(differences))
    return Paired(mean, error, len(differences))


def tied_by_course(scores: Mapping[int, float], best: int) -> tuple[int, ...] | None:
    """Return which other steps are tied with `best`, unpaired: by the noise of the course of the scores themselves.

    `scores` are those of every evaluation, by step; lower is better. Of what no example tells, this is known: where
    a course is smooth, each score lies near the mean of its neighbours, so how far it lies off measures the noise of
    one score (the estimator of Gasser, Sroka and Jennen-Steinmetz, Biometrika 1986; here with the median, which a
    jump does not move). A difference of two has the square root of two times that noise, and one that is at most two
    such errors above the best is tied. It sees what varies from one evaluation to the next; it does not see that
    another draw of examples would have chosen otherwise, as they are the same each time: pair for that.
    None where there are fewer than six evaluations with a finite score.
    """
    course = {step: value for step, value in sorted(scores.items()) if math.isfinite(value)}
    if len(course) < FEWEST_EVALUATIONS or best not in course:
        return None
    limit = course[best] + DEVIATIONS * math.sqrt(2) * noise(tuple(course.values()))
    return tuple(step for step, value in course.items() if step != best and value <= limit)


def noise(course: Sequence[float]) -> float:
    """Return the standard deviation of the noise in a smooth course of at least three values.

    With r the distance of a value from the mean of its two neighbours, the variance of r is 3/2 of that of the noise;
    the median of |r| of a normal distribution is 1 / 1.4826 of its standard deviation.
    """
    off = [
        abs(value - (before + after) / 2) for before, value, after in zip(course, course[1:], course[2:], strict=False)
    ]
    return 1.4826 * statistics.median(off) / math.sqrt(1.5)
