"""What a run directory has its log in, the best first: a journal, the longest trainer state, a log, event files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from steersman.readers import content
from steersman.readers.listing import Listed
from steersman.readers.recognition import recognised
from steersman.readers.recording import UnreadableRun

JOURNAL = Path("steersman") / "journal.jsonl"
STATE = "trainer_state.json"
LOGS = (
    "trainer_log.jsonl", "wandb-history.jsonl", "wandb_history.jsonl", "wandb-history.csv", "wandb_history.csv",
    "wandb-history.json", "wandb_history.json", "history.jsonl", "history.csv", "history.json", "metrics.csv",
    "metrics.jsonl", "results.csv", "log.txt",
)  # fmt: skip
"""Names of logs that are of the folder they lie in; others are runs of their own."""

EVENTS = "tfevents"
CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@frozen
class Sources:
    """What a folder has, each kind in the order in which it is tried."""

    journal: Path | None = None
    states: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()
    events: tuple[Path, ...] = ()

    @property
    def is_run(self) -> bool:
        return bool(self.journal or self.states or self.logs or self.events)


def sources(entries: Sequence[Listed], *, every_state: bool = True) -> Sources:
    """Return what the folder of these entries has; of the trainer states perhaps only the first that is found."""
    by_name = {entry.name: entry for entry in entries}
    return Sources(
        _journal(by_name.get(JOURNAL.parent.name)),
        tuple(_states(entries, every_state=every_state)),
        tuple(entry.path for name in LOGS if (entry := by_name.get(name)) and entry.is_file and is_log(entry.path)),
        tuple(entry.path for entry in entries if EVENTS in entry.name and entry.is_file),
    )


def is_log(path: Path, *, named: bool = True) -> bool:
    """Whether a file is a log. One that is `named` as such claims to be, though it cannot be read."""
    try:
        start = content.head(path)
    except UnreadableRun:
        return named
    if start.startswith(content.LFS):
        return named
    found = recognised(start)
    return found is not None and found.is_sure


def _journal(folder: Listed | None) -> Path | None:
    path = folder.path / JOURNAL.name if folder is not None and folder.is_folder else None
    return path if path is not None and _is_file(path) else None


def _states(entries: Sequence[Listed], *, every_state: bool) -> list[Path]:
    found: list[Path] = []
    for entry in entries:
        if entry.name == STATE and entry.is_file:
            found.append(entry.path)
        elif entry.is_folder and CHECKPOINT.fullmatch(entry.name) and _is_file(entry.path / STATE):
            found.append(entry.path / STATE)
        if found and not every_state:
            break
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
