"""What `steersman explain` prints of a run without a journal, and of a single step of any run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import asdict

from steersman.checkpoints import Checkpoint
from steersman.cli import as_json
from steersman.cli.terminal import console, print_json, show_section, show_title
from steersman.explain import Chapter
from steersman.explain_step import (
    entries_at,
    entries_of,
    explain_replay,
    explain_step,
    metrics_of,
    nearest_evaluated,
    standings,
)
from steersman.journal import JournalEntry
from steersman.ranking import Ranking
from steersman.readers.journal import current
from steersman.readers.run_directory import find_journal
from steersman.replaying import replay
from steersman.whereabouts import Whereabouts

_NOT_ITS_STORY = frozenset({"late_score"})
"""Kinds of entries that also a run has that was never supervised."""


def is_told_by_a_journal(run: Path) -> bool:
    """Whether a run has a journal of Steersman's that tells of it; an empty one, which is a fault, counts as one."""
    journal = find_journal(run)
    if journal is None:
        return False
    kinds = {entry.kind for entry in current(journal)}
    return bool(kinds - _NOT_ITS_STORY) or (not kinds and journal.name == "journal.jsonl")


def explain_from_a_replay(run: Path, step: int | None, *, as_object: bool) -> None:
    """Print what the default strategies would have said of a run that Steersman was not attached to."""
    made = replay(run)
    path, entries = made.recording.path, entries_of(made)
    if step is not None:
        show_step(
            run, entries, made.ranking, step, supervised=False, as_object=as_object, attached=made.recording.supervised
        )
        return
    chapters = explain_replay(made)
    if as_object:
        print_json(
            {
                "version": as_json.VERSION,
                "path": path,
                "supervised": False,
                "mode": made.config.mode,
                "ended": None,
                "last_step": max((record.step for record in made.recording.records), default=0),
                "choices": as_json.choices(made.ranking),
                "late_scores": as_json.late_scores(entries),
                "changes": [],
                "proposals": as_json.proposals(entries),
                "findings": as_json.findings(entries),
                "errors": as_json.errors(entries),
                "chapters": _plain(chapters),
            }
        )
    else:
        _show(f"What Steersman would have said of {run}", chapters)


def show_step(
    run: Path,
    entries: Sequence[JournalEntry],
    ranking: Ranking,
    step: int,
    *,
    supervised: bool,
    as_object: bool,
    attached: bool = False,
    there: Whereabouts | None = None,
) -> None:
    """Print what was thought, found and proposed at one step; where it was not evaluated, at the nearest that was."""
    chapters = explain_step(entries, ranking, step, there)
    if not supervised:
        was_attached = (
            "was attached to this run, and its journal is not here" if attached else "was not attached to this run"
        )
        said = f"Steersman {was_attached}: this is what the default strategies would have said."
        chapters = (Chapter("The run", (said,)), *chapters)
    if not as_object:
        _show(f"Step {step} of {run}", chapters)
        return
    checkpoint = nearest_evaluated(ranking, step)
    here = entries_at(entries, ranking, step)
    print_json(
        {
            "version": as_json.VERSION,
            "path": run,
            "supervised": supervised,
            "step": step,
            "checkpoint": _checkpoint(checkpoint, entries, there),
            "scores": _scores(checkpoint, ranking),
            "late_scores": [late for late in as_json.late_scores(entries) if late["step"] == _step(checkpoint)],
            "findings": as_json.findings(here),
            "proposals": as_json.proposals(here),
            "changes": as_json.changes(here),
            "errors": as_json.errors(here),
            "chapters": _plain(chapters),
        }
    )


def _step(checkpoint: Checkpoint | None) -> int | None:
    return checkpoint.step if checkpoint is not None else None


def _checkpoint(
    checkpoint: Checkpoint | None, entries: Sequence[JournalEntry], there: Whereabouts | None
) -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    place = there.place(checkpoint) if there is not None else None
    loss = checkpoint.train_loss
    return {
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "metrics": metrics_of(checkpoint, entries),
        "train_loss": asdict(loss) if loss is not None else None,
        "path": place or checkpoint.path,
    }


def _scores(checkpoint: Checkpoint | None, ranking: Ranking) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    why = ranking.barrier(checkpoint) if checkpoint is not None else None
    fails, waits = (None, None) if why is None else (None, why.reason) if why.waits else (why.reason, None)
    for standing in standings(checkpoint, ranking) if checkpoint is not None else ():
        score = checkpoint.scores[standing.scorer] if checkpoint is not None else None
        best = ranking.best(standing.scorer)
        if score is not None:
            told.append(
                {
                    "strategy": standing.scorer,
                    "value": score.value,
                    "terms": score.terms,
                    "rejected": score.rejected or fails,
                    "waits": waits,
                    "place": standing.place,
                    "ranked": standing.ranked,
                    "best_step": best.step if best is not None else None,
                }
            )
    return told


def _plain(chapters: Sequence[Chapter]) -> list[dict[str, Any]]:
    return [{"title": chapter.title, "sentences": chapter.sentences} for chapter in chapters]


def _show(title: str, chapters: Sequence[Chapter]) -> None:
    out = console()
    show_title(out, title)
    for chapter in chapters:
        show_section(out, chapter.title, chapter.sentences)
