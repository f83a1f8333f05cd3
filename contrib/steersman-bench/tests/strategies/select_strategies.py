"""Strategies that `bench select` is tested with: sound ones, and some that are not."""

from __future__ import annotations

import os
import time

from attrs import define

from steersman import Average, Checkpoint, Finding, Run, Score, Stop, hookimpl


@define(eq=False)
class Newest:
    """Scores the newest checkpoint best."""

    @hookimpl
    def score_checkpoint(self, checkpoint: Checkpoint) -> Score:
        return Score(-checkpoint.step)


@define(eq=False)
class StopsAt:
    """Stops at a step; it has no opinion on checkpoints."""

    step: int = 50

    @hookimpl
    def propose_adjustments(self, run: Run) -> Stop | None:
        return Stop("enough") if run.step >= self.step else None


@define(eq=False)
class NotANumber:
    """Scores with NaN."""

    @hookimpl
    def score_checkpoint(self) -> Score:
        return Score(float("nan"))


@define(eq=False)
class Raises:
    """Fails at each check."""

    @hookimpl
    def diagnose(self) -> Finding:
        raise RuntimeError("no idea")


@define(eq=False)
class Averages:
    """Proposes one average."""

    steps: tuple[int, ...] = (70, 80, 90)
    leeway: float = 0.0

    @hookimpl
    def propose_averages(self, run: Run) -> Average:
        return Average(self.steps, self.leeway)


@define(eq=False)
class Slow:
    """Takes a minute for a score."""

    @hookimpl
    def score_checkpoint(self) -> Score:
        time.sleep(60)
        return Score(0.0)


@define(eq=False)
class Exits:
    """Ends its process."""

    @hookimpl
    def score_checkpoint(self) -> Score:
        os._exit(3)
