"""Training never dies of Steersman: errors of our own are counted, journaled, and after three the run goes on alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol

from steersman.config import ConfigError
from steersman.failing import StrategyError
from steersman.logs import logger

TOLERANCE = 3
P = ParamSpec("P")


class _Session(Protocol):
    def failed(self, event: str, error: Exception, count: int, *, gives_up: bool) -> None: ...
    def give_up(self) -> None: ...


class Guarded:
    """What stands between a trainer and a session. `failures` counts errors of Steersman's own in this run."""

    failures: int = 0
    may_give_up: bool = True
    must_give_up: bool = False
    """Whether the session is to be given up as soon as it may be."""

    @property
    def says_itself(self) -> bool:
        """Whether the session's console tells of failures."""
        return True

    def watched(self) -> _Session | None:
        """Return the session that runs now, if any does."""
        return None

    def failed(self, event: str, error: Exception) -> None:
        """Note an error of Steersman's own: in the journal, and once to the user."""
        self.failures += 1
        gives_up, session = self.failures >= TOLERANCE, self.watched()
        if session is None or not self.says_itself:
            logger().error("steersman failed; training goes on", hook=event, gives_up=gives_up, exc_info=error)
        if session is not None:
            session.failed(event, error, self.failures, gives_up=gives_up)
            self.must_give_up = gives_up
            if gives_up and self.may_give_up:
                session.give_up()


def guarded(event: Callable[P, None]) -> Callable[P, None]:
    """Return a method of a `Guarded` that raises nothing but what a config asks to be raised."""

    @functools.wraps(event)
    def safe(*args: P.args, **kwargs: P.kwargs) -> None:
        owner: Any = args[0]
        if owner.failures >= TOLERANCE:
            return
        try:
            event(*args, **kwargs)
        except (ConfigError, StrategyError):
            if (session := owner.watched()) is not None:
                session.give_up()
            raise
        except Exception as error:
            owner.failed(event.__name__, error)

    return safe
