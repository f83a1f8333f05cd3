"""Where the late scores of a run go: its journal, made where it has none; and the steps that it evaluated or saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from steersman.hindsight import evaluated, evaluated_in
from steersman.readers import UnreadableRun, read
from steersman.readers.journal import RANKING_WORDS, current
from steersman.readers.run_directory import JOURNAL, any_journal, checkpoints
from steersman.whereabouts import folder_of

_WEIGHED = frozenset({"score", "unscored", "checkpoint_saved"})
Known = Mapping[int, Mapping[str, float]]
"""The steps whose weights were evaluated or saved, with what their own evaluation gave."""


def journal_and_steps(run: Path) -> tuple[Path, Known]:
    """Return the journal of a run, or where one is to be made, and what is known of each step.

    Raises UnreadableRun where there is no run.
    """
    if not run.exists():
        raise UnreadableRun(run, "there is no such file or directory")
    found = any_journal(run)
    if found is None and not run.is_dir():
        raise UnreadableRun(run, "expected a run directory or a journal.jsonl")
    entries = current(found, words=RANKING_WORDS) if found is not None else []
    begin = next((entry for entry in entries if entry.kind == "run"), None)
    known: Known = {**_without(e.step for e in entries if e.kind in _WEIGHED), **evaluated_in(entries)}
    folder = folder_of(run, found)
    if begin is None:
        known = _never_supervised(folder, known)
    elif begin.step > 0:  # it was trained up to there without Steersman
        known = {**_without(checkpoints(folder)), **known}
    return found or run / JOURNAL, known


def _never_supervised(folder: Path, known: Known) -> Known:
    saved: Known = {**_without(checkpoints(folder)), **known}
    try:
        recording = read(folder)
    except UnreadableRun:
        if not saved:
            raise
        return saved
    return {**saved, **_without(recording.saved), **evaluated(recording.records)}


def _without(steps: Iterable[int]) -> Known:
    return {step: {} for step in steps}
