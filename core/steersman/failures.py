"""What the failure of a strategy leads to: a journal line, a log line, and what its `on_error` asks for."""

from __future__ import annotations

import logging

from attrs import define

from steersman.failing import Failure, StrategyError, message_of, told
from steersman.journal import Journal
from steersman.journaling import journal_failure, journal_overrun
from steersman.loaded import Loaded
from steersman.logs import logger
from steersman.run import Progress
from steersman.secrets import masked


@define(eq=False)
class Failures:
    """Hears of failures on the rank where strategies run. `stop_because` is for all ranks to hear at the next settle.

    Where a strategy's `on_error` is `raise` its first failure is raised as a StrategyError. The log is written where
    the application reads it, or where nothing else tells (`is_told` False).
    """

    journal: Journal
    progress: Progress
    is_told: bool = True
    stop_because: str | None = None

    def hear(self, failure: Failure) -> None:
        """Journal a failure, and do what the strategy's `on_error` says."""
        loaded = failure.loaded
        journal_failure(self.journal, self.progress.step, failure)
        self._log("strategy failed", loaded, failure.hook, masked(told(failure.error)))
        failed = f"{loaded.name} failed in {failure.hook}"
        if loaded.on_error == "raise":
            raise StrategyError(f"{failed}: {message_of(failure.error)}") from failure.error
        if loaded.on_error == "stop":
            self.stop_because = f"{failed} and its `on_error` is stop: {message_of(failure.error)}"

    def overrun(self, loaded: Loaded, hook: str) -> None:
        """Journal, from the watchdog's thread, that a hook goes on beyond its budget."""
        journal_overrun(self.journal, self.progress.step, loaded, hook)
        self._log("strategy overruns its time budget", loaded, hook, f"{loaded.time_budget:g} s are over")

    def take(self) -> str | None:
        """Return why the run should stop, once."""
        because, self.stop_because = self.stop_because, None
        return because

    def _log(self, event: str, loaded: Loaded, hook: str, reason: str) -> None:
        if self.is_told and not logging.getLogger("steersman").hasHandlers():
            return
        source = loaded.source
        logger().error(
            f"{event}: {loaded.name} ({source.text}) in {hook} at step {self.progress.step}: {reason}",
            strategy=loaded.name, hook=hook, distribution=source.distribution, version=source.version,
            step=self.progress.step,
        )  # fmt: skip
