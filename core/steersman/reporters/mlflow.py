"""Scalars into a run of MLflow, sent while training goes on."""

from __future__ import annotations

import concurrent.futures
import posixpath
import re
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from steersman.journal import JournalEntry
from steersman.logs import logger
from steersman.reporters.scalars import scalars

_NOT_ALLOWED = re.compile(r"[^\w\-. /]|\.\.")
_AT_ONCE = 1000
"""How many metrics a batch may have, and how many wait at most."""
_PATIENCE = 5.0
"""How many seconds a batch that is on its way may hold up the end of a run."""


class MLflow:
    """Has one batch on its way at a time, so that a slow or dead server holds up nothing; the rest waits for the next.

    `find` returns a client and the id of its run, or None while there is none. A batch that failed is raised when the
    next one is to be sent.
    """

    def __init__(self, find: Callable[[], tuple[Any, str] | None]) -> None:
        self._find = find
        self._target: tuple[Any, str] | None = None
        self._waiting: deque[tuple[str, float, int, int]] = deque(maxlen=_AT_ONCE)
        self._sent: Any = None
        self._is_lossy = False

    def hear(self, entry: JournalEntry) -> None:
        """Send the scalars of an entry, and what waited."""
        told = scalars(entry)
        at = round((entry.time or 0.0) * 1000)
        if len(self._waiting) + len(told) > _AT_ONCE and not self._is_lossy:
            self._is_lossy = True
            logger().warning("MLflow takes its time; the oldest scalars that wait for it are left out")
        self._waiting.extend((allowed(tag), value, at, entry.step) for tag, value in told)
        if (told or entry.kind == "record") and self._waiting and self._is_free():
            self._send()

    def close(self) -> None:
        """Send all that waits; MLflow sees to it before the process ends.

        What is on its way may take some seconds to be through first: a store of files loses one of two batches that
        make the same folder at the same time.
        """
        if self._waiting:
            if self._sent is not None:
                concurrent.futures.wait(self._sent._operation_futures, timeout=_PATIENCE)
            self._send()

    def _is_free(self) -> bool:
        """Whether nothing is on its way. Raises what MLflow raised for the last batch."""
        if self._sent is None:
            return True
        if not all(future.done() for future in self._sent._operation_futures):
            return False
        sent, self._sent = self._sent, None
        sent.wait()
        return True

    def _send(self) -> None:
        self._target = self._target or self._find()
        if self._target is None:
            return
        from mlflow.entities import Metric

        client, run = self._target
        metrics = [Metric(*told) for told in self._waiting]
        self._waiting.clear()
        self._sent = client.log_batch(run, metrics=metrics, synchronous=False)


def allowed(tag: str) -> str:
    """Return a tag as MLflow allows the name of a metric: `learning_rate[1]` is `learning_rate_1_`.

    Its terms stand beside a score with a dot, since in a store of files a metric cannot be the folder of others.
    """
    group, _, name = tag.partition("/")
    name = name.replace("/", ".") if group == "Score" else name
    return posixpath.normpath(_NOT_ALLOWED.sub("_", f"{group}/{name}"))


def active_run() -> tuple[Any, str] | None:
    """Return a client and the run that is active in this thread, or None; MLflow is not imported for it."""
    mlflow: Any = sys.modules.get("mlflow")
    if mlflow is None or (run := mlflow.active_run()) is None:
        return None
    return mlflow.MlflowClient(), run.info.run_id
