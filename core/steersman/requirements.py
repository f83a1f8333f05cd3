"""What a checkpoint must have to be best: a comparison for each metric that `score: {require: ...}` names."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from attrs import frozen

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
PATTERN = r"^\s*(>=|<=|==|>|<)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*$"
"""What a comparison looks like: an operator and a finite number."""


@frozen
class Requirement:
    """A metric and the comparison that it must pass, such as `safety >= 0.92`."""

    metric: str
    comparison: str
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether a value passes; NaN never does."""
        return _OPERATORS[self.comparison](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:g}"


@frozen
class Barrier:
    """Why a checkpoint may not be best. `waits` where a metric is not there yet, so that this may change."""

    reason: str
    waits: bool


def barrier(requirements: Sequence[Requirement], metrics: Mapping[str, float]) -> Barrier | None:
    """Return why a checkpoint with these metrics may not be best, or None where every requirement is met."""
    there = [r for r in requirements if r.metric in metrics]
    failed = [
        f"{r.metric} {metrics[r.metric]:.6g} is not {r.comparison} {r.bound:g}"
        for r in there
        if not r.is_met(metrics[r.metric])
    ]
    if failed:
        return Barrier(", ".join(failed), waits=False)
    missing = dict.fromkeys(r.metric for r in requirements if r.metric not in metrics)
    return Barrier(f"waiting for {', '.join(missing)}", waits=True) if missing else None


def requirements_of(score: object, problems: list[str], path: str = "$.score") -> tuple[Requirement, ...]:
    """Return what a `score:` section requires, `null` nothing; each fault is a sentence appended to `problems`."""
    if not isinstance(score, Mapping) or "require" not in score:
        return ()
    given: object = cast("Mapping[str, Any]", score)["require"]
    if not isinstance(given, Mapping):
        problems.append(f'{path}.require: expected a table such as {{safety: ">= 0.92"}}, got {given!r}')
        return ()
    found: list[Requirement] = []
    for name, text in cast("Mapping[object, object]", given).items():
        parsed = re.match(PATTERN, text) if isinstance(text, str) else None
        if not isinstance(name, str) or not name.strip():
            problems.append(f"{path}.require: expected the name of a metric, got {name!r}")
        elif text is None:
            continue
        elif parsed is None or not math.isfinite(float(parsed[2])):
            problems.append(f'{path}.require.{name}: expected a comparison such as ">= 0.92", got {text!r}')
        else:
            found.append(Requirement(name, parsed[1], float(parsed[2])))
    return tuple(found)
