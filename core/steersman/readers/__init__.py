"""Finished runs: each format becomes a Recording, records in the order in which they were logged."""

from __future__ import annotations

from pathlib import Path

from steersman.readers import journal, run_directory, trainer_state
from steersman.readers.recording import Recording, UnreadableRun

__all__ = ["Recording", "UnreadableRun", "read"]


def read(path: Path) -> Recording:
    """Return the recording of a file or a run directory.

    Raises UnreadableRun with a sentence that says what is wrong and what would be read.
    """
    if not path.exists():
        raise UnreadableRun(path, "there is no such file or directory")
    if path.is_dir():
        return run_directory.read(path)
    if path.suffix == ".csv" or "tfevents" in path.name:
        raise UnreadableRun(path, "this release reads trainer_state.json, run directories and its own journals")
    return journal.read(path) if path.suffix == ".jsonl" else trainer_state.read(path)
