"""What one process does: replays the runs it is given, one after the other, and never dies of one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from attrs import field, frozen

from steersman.asking import Asking
from steersman.failing import StrategyError
from steersman.readers import UnreadableRun
from steersman.replaying import replay_with
from steersman.results import ReplayedRun
from steersman.telling import told, unreadable

_KNOWN: dict[str, Asking] = {}
"""In each process: what was sent to it before, so that a config is read once a process and not once a run."""


@frozen
class Work:
    """Replays paths. It can be sent to another process, and says the same there."""

    asking: Asking
    task_metrics: Mapping[str, bool] | None = None
    key: str = field(factory=lambda: uuid.uuid4().hex)

    def __call__(self, paths: tuple[str, ...]) -> list[ReplayedRun]:
        """Return what is told of each run; one that cannot be read has its reason as `error`."""
        asking = _KNOWN.setdefault(self.key, self.asking)
        return [self._told(asking, path) for path in paths]

    def _told(self, asking: Asking, path: str) -> ReplayedRun:
        try:
            return told(replay_with(asking, path), self.task_metrics, path)
        except UnreadableRun as error:
            return unreadable(path, str(error))
        except StrategyError as error:
            return unreadable(path, f"{path}: {error}")
        except MemoryError:
            return unreadable(path, f"{path}: there is not enough memory to read it")
        except Exception as error:  # the other runs go on
            what = f"{type(error).__name__}: {error}"
            return unreadable(path, f"{path}: Steersman itself failed on it, which is a fault of ours: {what}")
