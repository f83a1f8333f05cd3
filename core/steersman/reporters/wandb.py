"""Scalars into a run of Weights & Biases, over an x-axis of their own: no step of the user's own is counted."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from steersman.journal import JournalEntry
from steersman.logs import logger
from steersman.reporters.scalars import scalars

STEP = "steersman/step"
"""The metric that is the x-axis of ours: the step of the journal's entry."""
_WAITING = 1000
"""How many rows wait at most for the user's next log."""


class Wandb:
    """Adds to the row that the user's next `log` closes, since to close one would count a step.

    A row has one step. So what belongs to another waits until the user has closed it; of one tag at one step the last
    value counts. `find` returns the run, or None while there is none. What W&B raises is raised.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._run: Any = None
        self._known: set[str] = set()
        self._waiting: deque[tuple[int, dict[str, float]]] = deque()
        self._open: tuple[int, int] | None = None  # the row that ours lie in, as W&B counts, and their step
        self._is_lossy = False

    def hear(self, entry: JournalEntry) -> None:
        """Log the scalars of an entry, and what waited, as far as it may be."""
        told = dict(scalars(entry))
        if told:
            self._wait(entry.step, told)
        if (told or entry.kind == "record") and self._waiting:
            self._run = self._run or self._find()
            if getattr(self._run, "_is_finished", False):  # to ask it for its step would wait half a minute
                raise RuntimeError("the run of W&B is finished")
            row = self._run.step if self._run is not None else None  # a question to W&B's own process
            while row is not None and self._waiting and self._fits(row):
                self._send(row)

    def close(self) -> None:
        """Log all that waits: the run is over, so rows may be closed."""
        while self._run is not None and self._waiting and not getattr(self._run, "_is_finished", False):
            if not self._fits(self._run.step):
                self._run.log({}, commit=True)
            self._send(self._run.step)

    def _wait(self, step: int, told: dict[str, float]) -> None:
        if self._waiting and self._waiting[-1][0] == step:
            self._waiting[-1][1].update(told)
            return
        self._waiting.append((step, told))
        if len(self._waiting) > _WAITING:
            self._waiting.popleft()
            if not self._is_lossy:
                self._is_lossy = True
                logger().warning("nothing is logged to W&B but by steersman, whose oldest scalars are left out")

    def _fits(self, row: int) -> bool:
        """Whether the row that is open now holds none of ours, or those of the step that is next."""
        return self._open is None or self._open[0] != row or self._open[1] == self._waiting[0][0]

    def _send(self, row: int) -> None:
        """Add what is next to the row that is open now."""
        step, told = self._waiting.popleft()
        for tag in (STEP, *told):
            if tag not in self._known:
                self._known.add(tag)
                self._run.define_metric(tag, **({"hidden": True} if tag == STEP else {"step_metric": STEP}))
        self._run.log({**told, STEP: step}, commit=False)
        self._open = (row, step)


def active_run() -> Any:
    """Return the run that is active in this process, or None; W&B is not imported for it."""
    return getattr(sys.modules.get("wandb"), "run", None)
