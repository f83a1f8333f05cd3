"""An output directory of the Trainer: its journal, or the longest trainer_state.json among its checkpoints."""

from __future__ import annotations

import re
from pathlib import Path

from attrs import evolve

from steersman.late_entries import LateScore, left_unheard
from steersman.readers import journal, trainer_state
from steersman.readers.recording import Recording, UnreadableRun

JOURNAL = Path("steersman") / "journal.jsonl"
KEPT = Path("steersman") / "kept"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def read(directory: Path) -> Recording:
    """Return the recording of a run directory; successive checkpoints of one run are one run.

    Raises UnreadableRun where there is neither a journal nor a trainer_state.json.
    """
    saved = checkpoints(directory)
    found = find_journal(directory)
    failures: list[str] = []
    if found is not None:
        try:
            return evolve(journal.read(found), saved=saved)
        except UnreadableRun as error:
            failures.append(str(error))
    states = [
        p
        for p in (directory / "trainer_state.json", *(Path(p) / "trainer_state.json" for p in saved.values()))
        if p.is_file()
    ]
    if not states and not failures:
        raise UnreadableRun(
            directory, "it holds no trainer_state.json, no checkpoint-*/trainer_state.json and no journal"
        )
    recordings: list[Recording] = []
    for path in states:
        try:
            recordings.append(trainer_state.read(path))
        except UnreadableRun as error:
            failures.append(str(error))
    if not recordings:
        raise UnreadableRun(directory, "; ".join(failures))
    return evolve(
        max(recordings, key=lambda r: len(r.records)), saved=saved, late_left=_late_of(any_journal(directory))
    )


def _late_of(found: Path | None) -> tuple[LateScore, ...]:
    """Return what was recorded of a run that was never supervised."""
    try:
        return left_unheard(journal.current(found)) if found is not None else ()
    except UnreadableRun:
        return ()


def find_journal(path: Path) -> Path | None:
    """Return the journal of a supervised run: of its directory, or the file or folder itself."""
    found = any_journal(path)
    return None if found is None or _has_only_late_scores(found) else found


def any_journal(path: Path) -> Path | None:
    """Return the same, also where it only holds late scores of a run that was never supervised."""
    for candidate in (path / JOURNAL, path / JOURNAL.name, path):
        if candidate.is_file() and candidate.suffix == ".jsonl":
            return candidate
    return None


def _has_only_late_scores(journal: Path) -> bool:
    try:
        with journal.open("rb") as file:
            first = next((line for line in file if b'"late_score"' not in line), None)
            return first is None and file.tell() > 0
    except OSError:
        return False


def checkpoints(directory: Path) -> dict[int, str]:
    """Return the checkpoint directories that are there, by step."""
    try:
        folders = [entry for entry in directory.iterdir() if entry.is_dir()]
    except OSError as error:
        raise UnreadableRun(directory, f"it cannot be read: {error.strerror}") from None
    folders += (directory / KEPT).glob("*/checkpoint-*")
    found: dict[int, str] = {}
    for entry in folders:
        if match := _CHECKPOINT.fullmatch(entry.name):
            found.setdefault(int(match[1]), str(entry))
    return dict(sorted(found.items()))
