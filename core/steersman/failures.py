"""What the failure of a strategy leads to: a journal line, and what `on_error` asks for."""

from __future__ import annotations

from typing import Literal

from attrs import define

from steersman.dispatch import Failure, StrategyError
from steersman.journal import Journal
from steersman.journaling import journal_failure
from steersman.run import Progress


@define(eq=False)
class Failures:
    """Hears of failures on the rank where strategies run. `stop_because` is for all ranks to hear at the next settle.

    With `on_error` `raise` the first one is raised as a StrategyError.
    """

    on_error: Literal["quarantine", "raise", "stop"]
    journal: Journal
    progress: Progress
    stop_because: str | None = None

    def hear(self, failure: Failure) -> None:
        """Journal a failure, and do what `on_error` says."""
        journal_failure(self.journal, self.progress.step, failure)
        failed = f"{failure.loaded.name} failed in {failure.hook}"
        if self.on_error == "raise":
            raise StrategyError(f"{failed}: {failure.error}") from failure.error
        if self.on_error == "stop":
            self.stop_because = f"{failed} and `on_error` is stop: {failure.error}"

    def take(self) -> str | None:
        """Return why the run should stop, once."""
        because, self.stop_because = self.stop_because, None
        return because
