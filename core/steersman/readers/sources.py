"""What a run directory has its log in, the best first: a journal, the longest trainer state, a log, event files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from steersman.readers import content
from steersman.readers.listing import Listed, listed
from steersman.readers.names import Stage
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
WANDB_SUMMARY = "wandb-summary.json"
STAGED: Mapping[str, Stage] = {
    "train": "train", "validation": "eval", "valid": "eval", "val": "eval", "eval": "eval", "test": "test",
}  # fmt: skip
"""Folders of event files beside each other that are the stages of one run, as Keras writes them."""
CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@frozen
class Sources:
    """What a folder has, each kind in the order in which it is tried; `staged` are event files by their folder."""

    journal: Path | None = None
    states: tuple[Path, ...] = ()
    logs: tuple[Path, ...] = ()
    events: tuple[Path, ...] = ()
    staged: Mapping[str, tuple[Path, ...]] = field(factory=dict[str, "tuple[Path, ...]"])

    @property
    def is_run(self) -> bool:
        return bool(self.journal or self.states or self.logs or self.events or self.staged)


def sources(entries: Sequence[Listed], *, every_state: bool = True) -> Sources:
    """Return what the folder of these entries has; of the trainer states perhaps only the first that is found."""
    by_name = {entry.name: entry for entry in entries}
    return Sources(
        _journal(by_name.get(JOURNAL.parent.name)),
        tuple(_states(entries, every_state=every_state)),
        tuple(entry.path for name in LOGS if (entry := by_name.get(name)) and entry.is_file and is_log(entry.path)),
        _events(entries),
        _staged(by_name),
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


def _events(entries: Sequence[Listed]) -> tuple[Path, ...]:
    return tuple(entry.path for entry in entries if EVENTS in entry.name and entry.is_file)


def _staged(by_name: Mapping[str, Listed]) -> dict[str, tuple[Path, ...]]:
    """Return the event files of each stage, where there is a folder for the training and for another stage."""
    folders = [entry for name in STAGED if (entry := by_name.get(name)) is not None and entry.is_folder]
    if len(folders) < 2 or folders[0].name != "train":
        return {}
    try:
        found = {folder.name: files for folder in folders if (files := _events(listed(folder.path)))}
    except OSError:
        return {}
    return found if len(found) > 1 and "train" in found else {}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
