"""A reporter that fails must not stop a run, nor make one rank do otherwise than the others."""

from __future__ import annotations

from collections.abc import Callable

from steersman.journal import JournalEntry
from steersman.logs import logger
from steersman.secrets import told

_PATIENCE = 3


def isolated(hear: Callable[[JournalEntry], None]) -> Callable[[JournalEntry], None]:
    """Return `hear` as one that never raises; its first failure is logged, and after three it rests."""
    failures: list[Exception] = []
    name = type(getattr(hear, "__self__", hear)).__name__

    def safe(entry: JournalEntry) -> None:
        if len(failures) >= _PATIENCE:
            return
        try:
            hear(entry)
        except Exception as error:
            failures.append(error)
            if len(failures) == 1:
                logger().error(f"{name} of steersman failed ({told(error)}); training goes on", reporter=name)

    return safe
