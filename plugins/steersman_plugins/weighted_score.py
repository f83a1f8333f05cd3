"""`score`: the strategy behind the `score:` section of a config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from attrs import define, field, frozen

from steersman import Checkpoint, Run, Score, hookimpl


@frozen
class Weight:
    """The weight of a metric and which way it is better."""

    weight: float = 1.0
    """What the metric is multiplied by, above 0; only the ratio between weights matters."""
    direction: Literal["lower", "higher"] = "lower"
    """Which way the metric is better; one that is better `higher` is subtracted."""


@define(eq=False)
class WeightedScore:
    """Score a checkpoint by a weighted sum of metrics.

    `metrics` names them: `{eval_chat_loss: 0.7, eval_accuracy: {weight: 0.3, direction: higher}}`. Where one of
    the metrics is missing or not finite, or the sum is not, it has no opinion. It is asked again when a
    metric comes late.
    """

    scores_late: ClassVar[bool] = True

    metrics: Mapping[str, float | Weight] = field(factory=dict[str, float | Weight])
    """Metrics as they are logged, each with its weight or `{weight: 0.3, direction: higher}`; at least one."""

    def __attrs_post_init__(self) -> None:
        if not self.metrics:
            raise ValueError("names no metric")
        for name, given in self.metrics.items():
            weight = given.weight if isinstance(given, Weight) else given
            if not math.isfinite(weight) or weight <= 0:
                raise ValueError(
                    f"{name}: the weight must be above 0, got {weight}; say `direction: higher` to turn it"
                )

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        weighted: dict[str, float] = {}
        for name, given in self.metrics.items():
            weight = given if isinstance(given, Weight) else Weight(given)
            value = checkpoint.metrics.get(name)
            if value is None:
                _ = run.history[name].latest  # remembered, and named at the end of the run if it never comes
                return None
            if not math.isfinite(value):
                return None
            weighted[name] = weight.weight * (value if weight.direction == "lower" else -value)
        total = sum(weighted.values())
        return Score(total, weighted) if math.isfinite(total) else None
