"""What was logged just now: Lightning keeps every name it ever heard in one dict."""

from __future__ import annotations

from typing import Any


class Fresh:
    """The metrics that were logged since `mark`, told from older ones by the value being another object."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}

    def mark(self, trainer: Any) -> None:
        """What is there now is old."""
        self._before = dict(trainer.callback_metrics)

    def metrics(self, trainer: Any) -> dict[str, Any]:
        """Return what was logged since."""
        return {name: v for name, v in trainer.callback_metrics.items() if v is not self._before.get(name)}
