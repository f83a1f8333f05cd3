"""Baselines and ranking begin anew where what comes cannot be compared with what was."""

from __future__ import annotations

from attrs import define

from steersman.journal import Journal
from steersman.ranking import Ranking
from steersman.run import Progress
from steersman.windows import Windows


@define(eq=False)
class Restarts:
    """What must forget what was."""

    windows: Windows
    ranking: Ranking
    progress: Progress
    journal: Journal

    def forget_before(self, step: int) -> None:
        """Forget what was before `step`."""
        self.windows.restart(step)
        self.ranking.restart(step)
        self.progress.restarted_at = step

    def begin_anew(self, because: str) -> None:
        """Forget what was before now, and say so."""
        self.forget_before(self.progress.step)
        self.journal.write("restart", self.progress.step, because=because)
