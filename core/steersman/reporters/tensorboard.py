"""Scalars into TensorBoard: through the trainer's writer, or one of our own where the trainer has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from steersman.journal import JournalEntry
from steersman.reporters.scalars import scalars


@define(eq=False)
class TensorBoard:
    """Writes through what `writer` returns at the time: a SummaryWriter, or None, and then nothing is written."""

    writer: Callable[[], Any]

    def hear(self, entry: JournalEntry) -> None:
        """Write the scalars of an entry at its step, at the time of its line."""
        told = scalars(entry)
        writer = self.writer() if told else None
        if writer is not None:
            for tag, value in told:
                writer.add_scalar(tag, value, entry.step, walltime=entry.time)
            writer.flush()

    def close(self) -> None:
        """Close the event file, where it is our own."""
        if isinstance(self.writer, OwnWriter):
            self.writer.close()


@define(eq=False)
class OwnWriter:
    """Makes one event file in `folder`, when it is first asked for.

    A run that goes on from `step` (0: from the beginning) has made the later steps anew: TensorBoard is told to forget
    them in the older files of the folder. Raises OSError where the folder cannot be written.
    """

    folder: Path
    step: int = 0
    _made: Any = field(default=None, init=False)

    def __call__(self) -> Any:
        if self._made is None:
            from torch.utils.tensorboard import SummaryWriter

            self._made = SummaryWriter(str(self.folder), purge_step=self.step + 1 if self.step > 0 else None)
        return self._made

    def close(self) -> None:
        """Close the file, if there is one."""
        made, self._made = self._made, None
        if made is not None:
            made.close()
