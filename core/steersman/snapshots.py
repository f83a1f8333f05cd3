"""The healthy states a rollback returns to, and how many rollbacks a run has left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol

from attrs import define, field, frozen

from steersman.checkpoints import Checkpoint
from steersman.history import History
from steersman.validating import within
from steersman.windows import Window

_FIRST = 5
"""How many of the first evaluations must be better than the begin, too."""


class Snapshots(Protocol):
    """Keeps one state: trainable parameters, optimizer moments, gradient scaler."""

    size: int

    def take(self) -> bool:
        """Keep the state of now in place of the one before; return whether it was finite and is kept."""
        ...

    def restore(self) -> None:
        """Put the kept state in force."""
        ...

    def release(self) -> None:
        """Keep nothing any more."""
        ...


@frozen
class RecoverySettings:
    """Whether and where snapshots are kept, and what a rollback does.

    `auto` keeps them in host memory where a strategy in use may roll back and one takes at most `largest` GB; `memory`
    and `disk` keep them whatever their size. A rollback multiplies the learning rate by `factor`; after
    `max_rollbacks` of them the run stops. `at` is which states are kept: of every `sound` check, or of those whose
    evaluation is the `best` so far. `sync` looks for NaN at every step at once, at the price of one
    synchronisation with the device.
    """

    snapshots: Literal["auto", "memory", "disk", "off"] = "auto"
    """Where snapshots are kept; `auto`: in memory, where a strategy may roll back and one takes at most `largest`."""
    largest: float = field(default=2.0, validator=within(0.0))
    """GB that a snapshot may take under `auto`."""
    at: Literal["sound", "best"] = "sound"
    """Of which checks a snapshot is kept: all that were sound, or of these the best evaluation so far.

    Of the first five evaluations only one whose loss is not above the first train loss is better than the begin.
    """
    max_rollbacks: int = field(default=3, validator=within(0))
    """Rollbacks a run may have; at the next proposal it stops."""
    factor: float = field(default=0.5, validator=within(0.0, 1.0, open_below=True))
    """What the learning rate is multiplied by at a rollback whose proposal names no factor."""
    sync: bool = False
    """Whether NaN is looked for at each step at once, at the price of one wait for the device."""


@frozen
class RolledBack:
    """A rollback that was made: to the state of which step, why, how many are left."""

    step: int
    to_step: int
    strategy: str
    because: str
    left: int


@define(eq=False)
class Recovery:
    """The snapshots of a run; `why_not` says why there are none. `healthy_at` is the step of the last healthy check."""

    settings: RecoverySettings
    snapshots: Snapshots | None = None
    why_not: str = "no strategy in use asks for snapshots (needs_snapshots) and `recovery.snapshots` is auto"
    is_sharded: bool = False
    is_asked_for: bool = False
    used: int = 0
    taken_at: int | None = None
    healthy_at: int | None = None

    @property
    def is_on(self) -> bool:
        """Whether snapshots are kept."""
        return self.snapshots is not None

    @property
    def is_ready(self) -> bool:
        """Whether there is a state to return to."""
        return self.snapshots is not None and self.taken_at is not None

    @property
    def left(self) -> int:
        """Rollbacks left before the run stops."""
        return max(self.settings.max_rollbacks - self.used, 0)

    def factor_of(self, proposed: float | None) -> float:
        """Return what the learning rate is multiplied by at a rollback that proposes a factor, or none."""
        return self.settings.factor if proposed is None else proposed

    def hear_sound(self, step: int, best: Checkpoint | None, windows: Sequence[Window], history: History) -> None:
        """Keep the state of `step`, whose check was sound, where it is one to keep.

        `best` is the best evaluation, `windows` and `history` are those so far.
        """
        only_best = self.settings.at == "best"
        is_one = not only_best or best is None or best.step == step
        if is_one and not (only_best and _is_worse_than_begin(windows, history)):
            self.take(step)

    def take(self, step: int) -> None:
        """Keep the state of `step`, which was healthy, if it is finite."""
        if self.snapshots is None:
            self.healthy_at = step
        elif self.snapshots.take():
            self.taken_at = self.healthy_at = step

    def restore(self) -> int:
        """Put the kept state in force and return its step; the caller has asked `is_ready`."""
        if self.snapshots is None or self.taken_at is None:
            raise RuntimeError("no snapshot was taken")
        self.snapshots.restore()
        return self.taken_at


def _is_worse_than_begin(windows: Sequence[Window], history: History) -> bool:
    """Whether the newest evaluation is one of the first and above the first train loss."""
    evaluated = [loss for window in windows if (loss := window.mean("eval_loss")) is not None]
    losses = history["loss"].last() if "loss" in history else ()
    begin = next((loss for loss in losses if math.isfinite(loss)), math.inf)
    return 1 <= len(evaluated) <= _FIRST and evaluated[-1] > begin


class OnPaperSnapshots:
    """The snapshots of a run that is over: nothing is kept, nothing is put back."""

    size = 0

    def take(self) -> bool:
        return True

    def restore(self) -> None:
        return None

    def release(self) -> None:
        return None
