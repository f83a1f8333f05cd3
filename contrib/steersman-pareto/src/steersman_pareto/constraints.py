"""Hard constraints, written as `>= 0.92`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping

from attrs import frozen

_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_WRITTEN = re.compile(r"\s*(>=|<=|>|<)\s*(\S+)\s*")


@frozen
class Constraint:
    """A bound that a metric must keep."""

    sign: str
    bound: float

    def broken_by(self, name: str, value: float | None) -> str:
        """Return why a checkpoint with this value of the metric `name` is out, or nothing where it keeps the bound.

        What was not evaluated, or is NaN or infinite, was not shown to keep it.
        """
        if value is None:
            return f"{name} was not evaluated, so it is not shown to be {self}"
        if not math.isfinite(value):
            return f"{name} is {value}, so it is not shown to be {self}"
        return "" if _SIGNS[self.sign](value, self.bound) else f"{name} is {value:g}, and must be {self}"

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"


def constraint_of(text: str) -> Constraint:
    """Return the constraint that `text` says. Raises ValueError where it says none."""
    written = _WRITTEN.fullmatch(text)
    try:
        bound = float(written[2]) if written else math.nan
    except ValueError:
        bound = math.nan
    if written is None or not math.isfinite(bound):
        raise ValueError(f"expected one of {', '.join(_SIGNS)} and a number, such as '>= 0.92', got {text!r}")
    return Constraint(written[1], bound)
