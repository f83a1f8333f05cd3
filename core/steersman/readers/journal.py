"""Our own journal: the records of a supervised run, its plan and the values it began with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cattrs

from steersman import journal
from steersman.control import Said
from steersman.hindsight import saved_told
from steersman.journal import JournalEntry
from steersman.late.entries import heard_in, left_unheard
from steersman.readers.recording import Recording, Resumed, UnreadableRun, plan_of
from steersman.records import Record, Usage
from steersman.schedule import RunPlan


def read(path: Path) -> Recording:
    """Return the recording of the last run in a journal.

    Raises UnreadableRun where it holds none.
    """
    entries = current(path)
    begin = next((entry for entry in entries if entry.kind == "run"), None)
    if begin is None:
        raise UnreadableRun(path, "it holds no run of Steersman's journal")
    records = tuple(_record(entry.step, entry.data) for entry in entries if _is_record(entry))
    plan = cattrs.structure(begin.data["plan"], RunPlan) if begin.data.get("plan") else plan_of(records, None)
    saved = saved_told(entries)
    values, config = begin.data.get("values", {}), begin.data.get("config")
    checks = [entry for entry in reversed(entries) if entry.kind == "check"]
    at = {entry.step: entry.data.get("values", {}) for entry in checks}  # the first of a step, if it has two
    source = Path(str(begin.data.get("config_source", "")))
    said: dict[int, Said] = {}
    for entry in entries:
        if entry.kind == "control":
            heard = Said(entry.data["off"], tuple(entry.data["approved"]), entry.data["reverts"])
            said.setdefault(entry.step, heard)  # a second at the same step is of the check at the end
    effects: dict[str, tuple[int, ...]] = {}
    for entry in entries:
        if entry.kind == "effect":
            name = entry.data["hyperparameter"]
            effects[name] = (*effects.get(name, ()), entry.step)
    return Recording(
        path,
        "journal",
        records,
        plan,
        values,
        saved,
        supervised=True,
        config=config,
        config_folder=source.parent if source.is_file() else None,
        values_at=at,
        said=said,
        effects=effects,
        late_heard=heard_in(entries),
        late_left=left_unheard(entries),
        facts=begin.data.get("facts", {}),
        decisions=tuple(entries),
        safer={h["name"]: h["safer"] for h in begin.data.get("hyperparameters", ()) if "safer" in h},
        failed={
            entry.data["hyperparameter"]: entry.step
            for entry in reversed(entries)
            if entry.kind == "proposal" and entry.data["verdict"] == "failed"
        },
        was_cut=all(entry.kind != "end" for entry in entries),
        resumes=tuple(_resumed(entry, begin) for entry in entries if entry.kind == "run" and entry is not begin),
    )


def current(path: Path, *, words: tuple[bytes, ...] = ()) -> list[JournalEntry]:
    """Return the entries of the last run in a journal, without what a resume from an earlier step superseded.

    With `words` only those whose lines hold one of them, or begin a run.
    Raises UnreadableRun where the file cannot be read.
    """
    try:
        runs = journal.attempts_of(journal.read(path, words=(*words, b'"run"') if words else ()))
    except (OSError, ValueError) as error:
        raise UnreadableRun(path, str(error)) from None
    return standing(runs[-1] if runs else [])


RANKING_WORDS = (
    b'"score"',
    b'"unscored"',
    b'"checkpoint_saved"',
    b'"eval"',
    b'"late_score"',
    b'"late_heard"',
    b'"averaged"',
)
"""What the lines hold that a ranking is made of."""


def standing(entries: Sequence[JournalEntry]) -> list[JournalEntry]:
    """Return the entries of one run without what a resume from an earlier step superseded."""
    kept: list[JournalEntry] = []
    for entry in entries:
        if entry.kind == "run" and entry.data.get("resumed"):
            whole = entry.data.get("settled", -1) >= entry.step  # it was saved in the middle of the step after
            kept = [e for e in kept if _stands(e, entry.step, whole=whole)]
        kept.append(entry)
    return kept


_BEFORE_SAVE = frozenset({"run", "record", "score", "unscored", "checkpoint_saved", "late_score"})
"""What happens at a step before it is saved; the rest of that step is done again by the resumed run."""


def _stands(entry: JournalEntry, step: int, *, whole: bool) -> bool:
    """Whether an entry still counts once the run was resumed at a step.

    A late score belongs to the weights of its step, and a score that was made of one to the check that heard it.
    """
    heard_at = entry.data.get("heard_at")
    if heard_at is not None:
        return bool(heard_at < step + whole)
    return entry.step < step + whole or (entry.step == step and entry.kind in _BEFORE_SAVE)


def _resumed(entry: JournalEntry, begin: JournalEntry) -> Resumed:
    is_other = any(entry.data.get(name) != begin.data.get(name) for name in ("config", "facts"))
    return Resumed(entry.step, entry.data.get("rollbacks", 0), is_other, entry.data.get("accounting"))


def _is_record(entry: JournalEntry) -> bool:
    """Whether an entry is a record, and one that can be read."""
    data = entry.data
    return (
        entry.kind == "record"
        and data.get("of") in ("train", "eval", "summary")
        and isinstance(data.get("metrics"), dict)
    )


def _record(step: int, data: Any) -> Record:
    usage = tuple(Usage(**spent) for spent in data.get("usage", ()))
    dropped = tuple(data.get("dropped", ()))
    spent: dict[str, float] = data.get("spent") or {}
    return Record(step, data["of"], data["metrics"], data.get("epoch"), data.get("elapsed"), usage, dropped, spent)
