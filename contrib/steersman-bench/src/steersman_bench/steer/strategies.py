"""The strategies of the benchmark itself: what a run does that is not steered, and what every tool knows."""

from __future__ import annotations

from attrs import define

from steersman import Run, StepGuard, hookimpl


@define(eq=False)
class DoNothing:
    """Do nothing: what every strategy is measured against."""

    @hookimpl
    def on_train_begin(self, run: Run) -> None:
        return None


@define(eq=False)
class ClipAndSkip:
    """Clip the gradient norm at a fixed limit and skip steps whose gradient is not finite: what every tool can do."""

    clip: float = 1.0
    """The largest norm of all gradients together; 1.0 because it is the default of most trainers."""

    @hookimpl
    def guard_steps(self, run: Run) -> StepGuard:
        return StepGuard(clip=self.clip)
