"""`steersman explain`: what a supervised run did and why, from its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from steersman.cli import as_json
from steersman.cli.explain_replay import explain_from_a_replay, is_told_by_a_journal, show_step
from steersman.cli.terminal import console, print_json, show_section, show_title
from steersman.explain import Chapter, ranking_told
from steersman.explain import explain as told
from steersman.journal import JournalEntry
from steersman.lifetime import begin_of, has_ended
from steersman.readers import UnreadableRun
from steersman.readers.journal import current
from steersman.readers.locating import is_url, located
from steersman.readers.run_directory import find_journal
from steersman.whereabouts import Whereabouts, folder_of


@click.command(short_help="Tell why the best checkpoint is the best and why each value changed.")
@click.argument("run")
@click.option("--step", type=click.IntRange(0), help="Tell of this step alone: its scores, findings and proposals.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def explain(run: str, step: int | None, as_object: bool) -> None:
    """Tell from the journal of RUN, a run directory or a journal.jsonl, why the best checkpoint is the best, why
    each value changed, what was refused, and how the run ended. A run that was killed has a journal too. Of a run
    that Steersman never supervised, what the default strategies would have said is told, from a replay of its log.

    \b
    Examples:
      steersman explain out
      steersman explain out --step 500
      steersman explain out/steersman/journal.jsonl --json
    """
    place = located(run)
    if is_url(run) or (place.exists() and not is_told_by_a_journal(place)):
        explain_from_a_replay(place, step, as_object=as_object)
        return
    journal = journal_of(place)
    entries = current(journal)
    if not entries:
        raise UnreadableRun(journal, "it holds no entry of Steersman's journal")
    there = Whereabouts.of(folder_of(place, journal), entries)
    if step is not None:
        show_step(place, entries, ranking_told(entries), step, supervised=True, as_object=as_object, there=there)
        return
    chapters = told(entries, there)
    if as_object:
        print_json(as_object_of(journal, entries, chapters, there))
    else:
        out = console()
        show_title(out, f"What Steersman did in {run}")
        for chapter in chapters:
            show_section(out, chapter.title, chapter.sentences)


def journal_of(run: Path) -> Path:
    """Return the journal of a run directory, or the file itself.

    Raises UnreadableRun where there is nothing.
    """
    found = find_journal(run)
    if found is None:
        raise UnreadableRun(run, "there is no such file or directory")
    return found


def as_object_of(
    journal: Path, entries: list[JournalEntry], chapters: tuple[Chapter, ...], there: Whereabouts
) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "version": as_json.VERSION,
        "path": journal,
        "supervised": True,
        "mode": begin_of(entries).get("mode"),
        "ended": has_ended(entries),
        "last_step": max(entry.step for entry in entries),
        "choices": as_json.choices(ranking_told(entries), there),
        "late_scores": as_json.late_scores(entries),
        "changes": as_json.changes(entries),
        "proposals": as_json.proposals(entries),
        "findings": as_json.findings(entries),
        "errors": as_json.errors(entries),
        "chapters": [{"title": chapter.title, "sentences": chapter.sentences} for chapter in chapters],
    }
