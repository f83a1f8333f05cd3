"""The runs in a tree, one after the other as they are found, in the order of their names.

A folder with a journal, a trainer state, a log or event files is one run. A log of another name is a run of its own
where its content is that of one. Hidden folders, caches and installed packages are passed over, and so are the
checkpoints of a run and what is under its `runs` and `wandb`. No folder is walked twice, however many links lead to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from steersman.readers.listing import Listed, is_local, listed
from steersman.readers.sources import (
    CHECKPOINT,
    EVENTS,
    JOURNAL,
    LOGS,
    STATE,
    WANDB_SUMMARY,
    Sources,
    is_log,
    sources,
)

_PASSED_OVER = frozenset({"__pycache__", "node_modules", "site-packages"})
_COPIES = frozenset({"runs", "wandb"})
"""Folders beside a run's own log, in which other tools logged the same run."""
_LOOKED_INTO = (".json", ".jsonl", ".ndjson", ".csv", ".log", ".txt")


def find(path: Path) -> Iterator[Path]:
    """Yield each run at `path`, a file, a run directory or a tree: a path that `read` takes.

    What claims to be a run and cannot be read is yielded too, and so is a folder that cannot be looked into, and
    `path` itself where it holds no run: `read` says why.
    """
    found = False
    for run in _walk(path) if _is_folder(path) else ():
        found = True
        yield run
    if not found:
        yield path


def _walk(top: Path) -> Iterator[Path]:
    seen: set[object] = set()
    stack = [iter([Listed(top, "", is_folder=True, is_file=False)])]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif entry.is_folder:
            try:
                if (identity := _identity(entry.path)) in seen:
                    continue
                seen.add(identity)
                entries = listed(entry.path)
            except OSError:
                yield entry.path
                continue
            own = sources(entries, every_state=False)
            if own.is_run:
                yield entry.path
            stack.append(iter([e for e in entries if not (e.is_folder and _is_passed_over(e.name, own))]))
        elif entry.is_file and _is_run_of_its_own(entry):
            yield entry.path


def _identity(folder: Path) -> object:
    if not is_local(folder):
        return str(folder)
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_passed_over(name: str, own: Sources) -> bool:
    if name.startswith(".") or name in _PASSED_OVER or CHECKPOINT.fullmatch(name):
        return True
    if name == JOURNAL.parent.name:
        return own.journal is not None
    if name in _COPIES and (own.journal is not None or bool(own.states)):
        return True
    return (name == "wandb" and own.is_run) or name in own.staged


def _is_run_of_its_own(entry: Listed) -> bool:
    name = entry.name
    if name.startswith(".") or name in (STATE, WANDB_SUMMARY) or name in LOGS or EVENTS in name:
        return False  # a run by itself makes its folder one
    return name.endswith(_LOOKED_INTO) and is_log(entry.path, named=False)
