"""What one process does: replays the runs it is given, one after the other, and never dies of one."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from steersman.asking import Asking
from steersman.failing import StrategyError
from steersman.readers import UnreadableRun
from steersman.replaying import replay_with
from steersman.results.run import ReplayedRun
from steersman.results.telling import told, unreadable

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
        with contextlib.redirect_stdout(sys.stderr):  # what a strategy prints is no result
            return [self._told(asking, path) for path in paths]

    def _told(self, asking: Asking, path: str) -> ReplayedRun:
        try:
            before = as_of(path)
            made = told(replay_with(asking, path), self.task_metrics, path)
            return evolve(made, as_of=before + as_of(made.source) if made.source is not None else "")
        except UnreadableRun as error:
            return unreadable(path, str(error))
        except StrategyError as error:
            return unreadable(path, f"{path}: {error}")
        except MemoryError:
            return unreadable(path, f"{path}: there is not enough memory to read it")
        except Exception as error:  # the other runs go on
            what = f"{type(error).__name__}: {error}"
            return unreadable(path, f"{path}: Steersman itself failed on it, which is a fault of ours: {what}")


def as_of(path: str) -> str:
    """Return a mark of how a file or a folder is now: its size and time; nothing for a URL, which has none."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError):
        return ""
    return f"{stat.st_size:x}.{stat.st_mtime_ns:x};"


def is_as_it_was(run: ReplayedRun) -> bool:
    """Whether what was read of a run is still as it was then."""
    return run.source is None or run.as_of == as_of(run.path) + as_of(run.source)
