"""When TRL generates: a new value waits for it, so that no buffered completion is trained on under another."""

from __future__ import annotations

import math
from typing import Any

from attrs import define, field

from steersman.hyperparameters import Handle


def is_due(trainer: Any) -> bool:
    """Return whether the next micro-batch makes the trainer generate, by TRL's own condition."""
    every = trainer.args.steps_per_generation * trainer.num_iterations
    return bool(trainer._step % every == 0 or trainer._buffered_inputs is None)


@define(eq=False)
class AtGeneration:
    """A `Deferred` hyperparameter: its new value, above `above`, waits for a step that begins with a generation."""

    trainer: Any
    handle: Handle
    above: float = -math.inf
    _waiting: float | None = field(default=None, init=False)

    @property
    def waits(self) -> bool:
        return self._waiting is not None

    def read(self) -> float | None:
        return self.handle.read() if self._waiting is None else self._waiting

    def write(self, value: float, ratio: float) -> None:
        if value <= self.above:
            raise ValueError(f"it must stay above {self.above:g}, got {value:g}")
        self._waiting = value

    def take_effect(self) -> bool:
        if self._waiting is None or not is_due(self.trainer):
            return False
        value, self._waiting = self._waiting, None
        self.handle.write(value, 1.0)
        return True

    def save(self) -> float | None:
        return self.read()

    def restore(self, saved: float) -> None:
        """Put a saved value in force at once where a generation is due, as it is at the begin of a resumed run."""
        self._waiting = saved
        self.take_effect()

    def release(self) -> None:
        self._waiting = None
        self.handle.release()
