"""The Pareto front of a set of points."""

from __future__ import annotations

import operator
from collections.abc import Sequence

Point = tuple[float, ...]


def front_of(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other point is at least as good as in everything, in their order.

    Lower is better in each coordinate. Of equal points the first stands for all. Sorted, a point can only be dominated
    by one before it, so each is compared with the front so far.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i], i)):
        if not any(_covers(points[kept], points[index]) for kept in front):
            front.append(index)
    return sorted(front)


def _covers(one: Point, other: Point) -> bool:
    return all(map(operator.le, one, other))
