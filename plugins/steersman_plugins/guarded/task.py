"""How a run does on its task, where an evaluation tells: a loss may rise while the answers get better."""

from __future__ import annotations

from collections.abc import Sequence

from steersman import Window
from steersman.results.task_metrics import directions

_OF_LATE = 3


def improves(windows: Sequence[Window], looked_at: int) -> bool:
    """Whether a task metric of the newest of `windows`, such as `eval_accuracy`, had its best value of late.

    Only metrics count whose name tells which way is better.
    """
    windows = windows[-looked_at:]
    known = directions(name for name in windows[-1].means if name.startswith("eval_")) if windows else {}
    return any(_is_new(windows, name, is_higher) for name, is_higher in known.items())


def _is_new(windows: Sequence[Window], name: str, is_higher: bool) -> bool:
    values = [value if is_higher else -value for window in windows if (value := window.mean(name)) is not None]
    return len(values) > _OF_LATE and max(values[-_OF_LATE:]) > max(values[:-_OF_LATE])
