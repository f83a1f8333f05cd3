"""Where the checkpoints of a run lie now, and what became of those that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from steersman.checkpoints import Checkpoint
from steersman.hindsight import written_over
from steersman.journal import JournalEntry
from steersman.readers.run_directory import JOURNAL, KEPT
from steersman.weights import flaw

_HALF_WRITTEN = (".making", ".tmp", ".part", ".incomplete")
"""How the name of what is still being written ends."""


@frozen
class Whereabouts:
    """Looks for the checkpoints of a run in its directory `folder`, which may have been moved, and where they were
    written. `over` are the steps that wrote over others; `saves_known` is whether every save was told.
    """

    folder: Path
    over: Mapping[int, int]
    saves_known: bool

    @classmethod
    def of(cls, folder: Path, entries: Sequence[JournalEntry]) -> Whereabouts:
        """Return those of the run in `folder` that has these entries."""
        saves_known = any(entry.kind == "checkpoint_saved" for entry in entries)
        return cls(folder, written_over(entries), saves_known)

    def place(self, checkpoint: Checkpoint) -> Path | None:
        """Return where a saved checkpoint lies; None where it is gone, or cannot be used."""
        return next((place for place in self._places(checkpoint) if _is_finished(place) and flaw(place) is None), None)

    def fate(self, checkpoint: Checkpoint) -> str:
        """Return what became of a checkpoint that has no place, as it follows on its name."""
        if checkpoint.step in self.over and not checkpoint.averaged:
            return f"was written over by step {self.over[checkpoint.step]}"
        if checkpoint.path is None:
            return "was evaluated and never saved" if self.saves_known else "has no checkpoint here"
        for place in self._places(checkpoint):
            if place.exists():
                why = flaw(place) if _is_finished(place) else "it is still being written"
                return f"cannot be used from {place}: {why}"
        return f"was saved in {checkpoint.path} and is gone"

    def _places(self, checkpoint: Checkpoint) -> Iterator[Path]:
        if checkpoint.path is None:
            return
        written = Path(checkpoint.path)
        for count in range(1, len(written.parts) + 1):  # with all its parts, one that begins at the root is itself
            yield self.folder.joinpath(*written.parts[-count:])
        if not checkpoint.averaged:
            yield from sorted((self.folder / KEPT).glob(f"*/checkpoint-{checkpoint.step}"))
        if not (self.folder / JOURNAL).exists():  # the journal lies elsewhere
            yield written


def folder_of(path: Path, journal: Path | None) -> Path:
    """Return the directory of a run that is named by it, by its journal or by its log."""
    if journal is not None and journal.parent.name == JOURNAL.parent.name:
        return journal.parent.parent
    return path if path.is_dir() else path.parent


def _is_finished(place: Path) -> bool:
    return place.exists() and not place.name.startswith("tmp-") and not place.name.endswith(_HALF_WRITTEN)
