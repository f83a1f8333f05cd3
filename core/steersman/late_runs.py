"""Where the late scores of a run go: its journal, made where it has none; and the steps that it evaluated or saved."""

from __future__ import annotations

from pathlib import Path

from steersman.readers import UnreadableRun, read
from steersman.readers.journal import RANKING_WORDS, current
from steersman.readers.run_directory import JOURNAL, any_journal, checkpoints

_WEIGHED = frozenset({"score", "unscored", "checkpoint_saved"})


def journal_and_steps(run: Path) -> tuple[Path, frozenset[int]]:
    """Return the journal of a run, or where one is to be made, and the steps whose weights were evaluated or saved.

    Raises UnreadableRun where there is no run.
    """
    if not run.exists():
        raise UnreadableRun(run, "there is no such file or directory")
    found = any_journal(run)
    if found is None and not run.is_dir():
        raise UnreadableRun(run, "expected a run directory or a journal.jsonl")
    entries = current(found, words=RANKING_WORDS) if found is not None else []
    begin = next((entry for entry in entries if entry.kind == "run"), None)
    steps = {entry.step for entry in entries if entry.kind in _WEIGHED}
    steps |= {entry.step for entry in entries if entry.kind == "record" and entry.data["of"] == "eval"}
    folder = run if run.is_dir() else run.parent.parent if run.parent.name == JOURNAL.parent.name else run.parent
    if begin is None:
        steps = _never_supervised(folder, steps)
    elif begin.step > 0:  # it was trained up to there without Steersman
        steps |= checkpoints(folder).keys()
    return found or run / JOURNAL, frozenset(steps)


def _never_supervised(folder: Path, known: set[int]) -> set[int]:
    saved = {*known, *checkpoints(folder)}
    try:
        recording = read(folder)
    except UnreadableRun:
        if not saved:
            raise
        return saved
    return saved | {record.step for record in recording.records if record.kind == "eval"} | set(recording.saved)
