"""What `--json` prints of a journal, live or replayed: the same keys for both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from steersman.journal import JournalEntry
from steersman.late.entries import recorded_in
from steersman.ranking import Ranking
from steersman.results.json_objects import to_object
from steersman.results.run import ReplayedRun
from steersman.results.totals import Total
from steersman.whereabouts import Whereabouts

VERSION = 1
"""The version of what `--json` prints; a key is never renamed or dropped without a new one."""


_OF_ONE = ("choices", "scores", "findings", "proposals", "errors", "never_came", "left_out")


def replays(runs: Sequence[ReplayedRun], total: Total | None) -> dict[str, Any]:
    """Return what `steersman replay --json` prints: every run, and where there is one alone, its keys at the top."""
    objects = [to_object(run) for run in runs]
    alone = objects[0] if len(objects) == 1 else {}
    at_top = {name: alone.get(name, {} if name in ("choices", "never_came") else []) for name in _OF_ONE}
    return {"version": VERSION, "runs": objects, **at_top, "total": total.as_object() if total is not None else None}


def choices(ranking: Ranking, there: Whereabouts | None = None) -> dict[str, Any]:
    """Return the best checkpoint of each scorer; `path`, where it lies or was saved, is null where that is unknown."""
    best = {name: ranking.best(name) for name in ranking.order}
    return {
        name: {
            "step": c.step,
            "value": c.scores[name].value,
            "path": (there.place(c) if there is not None else None) or c.path,
        }
        for name, c in best.items()
        if c is not None
    }


def scores(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Return every score; lower is better."""
    return _picked(entries, "score", ("strategy", "value", "terms", "train_loss"))


def findings(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Return every finding with its evidence."""
    return _picked(entries, "finding", ("strategy", "name", "severity", "message", "evidence"))


def proposals(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Return every proposal with its verdict; a `change` that is none of a value is `stop`, `save` or `rollback`."""
    made = [entry for entry in entries if entry.kind == "proposal"]
    return [
        {
            "step": e.step,
            "strategy": e.data["strategy"],
            "hyperparameter": e.data.get("hyperparameter"),
            "change": e.data.get("change") or e.data["action"],
            "verdict": e.data["verdict"],
            "reason": e.data["reason"],
        }
        for e in made
    ]


def changes(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Return every change that was made."""
    return _picked(
        entries, "adjustment", ("strategy", "hyperparameter", "old", "new", "read_back", "factor", "because")
    )


def late_scores(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Return every late score that was recorded."""
    return [late.to_json() for late in recorded_in(entries)]


def errors(entries: Iterable[JournalEntry]) -> list[dict[str, Any]]:
    """Return every failure of a strategy."""
    return _picked(entries, "error", ("strategy", "origin", "hook", "error", "quarantined"))


def _picked(entries: Iterable[JournalEntry], kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"step": e.step, **{name: e.data.get(name) for name in names}} for e in entries if e.kind == kind]
