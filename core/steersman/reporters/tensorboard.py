"""Changes to hyperparameters under `HealthCheck/*`, through the Trainer's own TensorBoard writer."""

from __future__ import annotations

from typing import Any

from steersman.journal import JournalEntry


class TensorBoard:
    """Writes where the Trainer reports to TensorBoard; nowhere else. A sink that fails never raises."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def hear(self, entry: JournalEntry) -> None:
        """Write the new value of each change, at its step."""
        if entry.kind != "adjustment":
            return
        for callback in self._handler.callbacks:
            writer = getattr(callback, "tb_writer", None)
            if writer is not None:
                try:
                    writer.add_scalar(f"HealthCheck/{entry.data['hyperparameter']}", entry.data["new"], entry.step)
                except Exception:
                    return
