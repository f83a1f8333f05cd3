"""Finished runs: each format becomes a Recording, records in the order in which they were logged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import evolve

from steersman.readers import files, run_directory, trainer_state
from steersman.readers.finding import find
from steersman.readers.left_out import values_left_out
from steersman.readers.listing import is_local, remote
from steersman.readers.recording import Recording, UnreadableRun

__all__ = ["Recording", "UnreadableRun", "find", "read"]


def read(path: Path, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a file or a run directory, whose format is told by its content.

    `own` is the `metrics:` of a config, by the names that the log itself has. It comes before our own mapping of names;
    a trainer state and a journal are already in the one spelling, so there it is left to the caller.
    Raises UnreadableRun with a sentence that says what is wrong and what would be read.
    """
    recording = _read(path, own)
    left_out = values_left_out(recording.records)
    return evolve(recording, notes=(*recording.notes, *left_out)) if left_out else recording


def _read(path: Path, own: Mapping[str, str] | None) -> Recording:
    try:
        with remote(path):
            is_folder, is_file = path.is_dir(), path.is_file()
            is_there = is_folder or is_file or path.exists()
    except OSError as error:
        raise UnreadableRun(path, f"it cannot be read: {error.strerror or error}") from None
    if is_folder:
        return run_directory.read(path, own)
    if is_file:
        return files.read(path, own)
    if is_there and is_local(path) and path.is_fifo():
        return trainer_state.read(path)  # what a pipe holds can be looked at only once
    if is_there:
        raise UnreadableRun(path, "it is neither a file nor a folder")
    if is_local(path) and path.is_symlink():
        raise UnreadableRun(path, "it is a link that leads nowhere or in a circle")
    raise UnreadableRun(path, "there is no such file or directory")
