"""`smoothed-loss`: one lucky evaluation does not make the best checkpoint."""

from __future__ import annotations

import math

from attrs import define, field, validators

from steersman import Checkpoint, Run, Score, hookimpl, state


@define(eq=False)
class SmoothedLoss:
    """Score a checkpoint by the moving average of its eval loss and of those before it (lower is better).

    Source: Kingma & Ba (2015), Adam (bias correction); Prechelt (1998), Early Stopping - But When? (smoothing)
    """

    metric: str = "eval_loss"
    """What is smoothed: any metric of the evaluations that is better when lower."""

    smoothing: float = field(default=0.6, validator=[validators.ge(0), validators.lt(1)])
    """What an evaluation weighs against the one after it; 0 smooths nothing, 0.6 is TensorBoard's default."""

    # State, not run.history: two sums hold the whole run, where a resumed history reaches back only over the records
    # that its checkpoint kept.
    total: float = state(0.0)
    weight: float = state(0.0)
    step: int = state(-1)

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        # checkpoint.metrics, not run.history: here the evaluation sets are merged, and eval_loss stands for the first.
        loss = checkpoint.metrics.get(self.metric, math.nan)
        if not math.isfinite(loss):
            _ = run.history[self.metric]  # asked for, so that the summary names a metric that never came
            return None
        if checkpoint.step > self.step:  # a step whose sets arrive one by one is scored more than once
            if run.restarted_at is not None and self.step <= run.restarted_at:
                self.total = self.weight = 0.0  # nothing before a restart can be compared with what comes
            self.total = self.smoothing * self.total + loss
            self.weight = self.smoothing * self.weight + 1.0  # what Adam's bias correction comes to: total / weight
            self.step = checkpoint.step
        return Score(self.total / self.weight, because=f"{self.metric} {loss:.6g}, smoothed")
