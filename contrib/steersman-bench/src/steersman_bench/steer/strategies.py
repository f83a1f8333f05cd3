"""The strategies of the benchmark itself: what a run does that is not steered, and what every tool knows."""

from __future__ import annotations

import math

from attrs import define

from steersman import Checkpoint, Run, Score, hookimpl


@define(eq=False)
class EvalReward:
    """Score a checkpoint by the mean reward of its evaluation, where it has one: higher is better."""

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        reward = checkpoint.metrics.get("eval_reward", math.nan)
        return Score.higher(reward) if math.isfinite(reward) else None
