"""A directory with a run in it: its journal, the longest of its trainer states, its log or its event files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import evolve

from steersman.late.entries import LateScore, left_unheard
from steersman.readers import events, files, journal, trainer_state
from steersman.readers.listing import listed
from steersman.readers.recognition import recognise
from steersman.readers.recording import Recording, UnreadableRun
from steersman.readers.sources import CHECKPOINT, JOURNAL, Sources, sources

__all__ = ["JOURNAL", "KEPT", "checkpoints", "find_journal", "read"]

NO_RUN = (
    "it holds no run: no journal, no trainer_state.json, no checkpoint-*/trainer_state.json, no trainer_log.jsonl, "
    "metrics.csv or results.csv, and no TensorBoard event file"
)
KEPT = Path("steersman") / "kept"


def read(directory: Path, own: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a run directory; successive checkpoints of one run are one run.

    The first source that can be read is taken. Raises UnreadableRun where there is none.
    """
    try:
        found = sources(listed(directory))
    except OSError as error:
        raise UnreadableRun(directory, f"it cannot be read: {error.strerror or error}") from None
    failures: list[UnreadableRun] = []
    for reader in _readers(directory, found, own):
        try:
            made = reader()
            notes = (*map(_passed_over, failures), *_damaged_later(made.path, found.states), *made.notes)
            made = evolve(made, saved=checkpoints(directory), notes=notes)
            return made if made.format == "journal" else evolve(made, late_left=_late_of(any_journal(directory)))
        except UnreadableRun as error:
            failures.append(error)
    raise UnreadableRun.of(directory, failures, NO_RUN)


def _readers(directory: Path, found: Sources, own: Mapping[str, str] | None) -> Iterator[Callable[[], Recording]]:
    lines = find_journal(directory)
    if lines is not None:
        yield partial(journal.read, lines)
    for state in sorted(found.states, key=_size, reverse=True):  # the longest log is in the largest file
        yield partial(trainer_state.read, state)
    for log in found.logs:
        yield partial(files.read, log, own)
    if found.events:
        yield partial(events.read, directory, found.events, own)
    if found.staged:
        yield partial(events.read_staged, directory, found.staged, own)


def _passed_over(error: UnreadableRun) -> str:
    return f"Passed over: {error}."


def _damaged_later(read: Path, states: Sequence[Path]) -> Iterator[str]:
    """Yield a sentence for each state that was saved later than the one that was `read` and is damaged.

    A later state is a larger one, so one that is smaller and was not tried is looked at.
    """
    if read not in states:
        return
    for state in states:
        if _saved_at(state) > _saved_at(read) and _size(state) < _size(read):
            try:
                trainer_state.read(state)
            except UnreadableRun as error:
                yield _passed_over(error)


def _saved_at(state: Path) -> float:
    """Return the step of a checkpoint's state; that of the run itself is saved last."""
    match = CHECKPOINT.fullmatch(state.parent.name)
    return int(match[1]) if match else math.inf


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


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
    for candidate in (path / JOURNAL, path / JOURNAL.name):
        if candidate.is_file():
            return candidate
    is_own = path.is_file() and path.suffix == ".jsonl" and (path.name == JOURNAL.name or _is_journal(path))
    return path if is_own else None


def _is_journal(path: Path) -> bool:
    found = recognise(path)
    return found is not None and found.format == "journal"


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
        if match := CHECKPOINT.fullmatch(entry.name):
            found.setdefault(int(match[1]), str(entry))
    return dict(sorted(found.items()))


def point_to(path: Path, place: Path) -> None:
    """Leave a link where the journal of a run is looked for, to a journal that lies elsewhere."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(path.resolve())
    except OSError:
        return  # the journal itself is written; only `explain` must be given its path
