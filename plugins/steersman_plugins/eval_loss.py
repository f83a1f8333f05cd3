"""`eval-loss`: the fallback scorer."""

from __future__ import annotations

import math

from attrs import define

from steersman import Checkpoint, Run, Score, hookimpl


@define(eq=False)
class EvalLoss:
    """Score a checkpoint by its eval loss, whenever that is finite."""

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        loss = checkpoint.metrics.get("eval_loss", math.nan)
        return Score(loss, {"eval_loss": loss}) if math.isfinite(loss) else None
