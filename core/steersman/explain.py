"""Tells from a journal, in sentences, what a run was, why its best is the best, and why each value changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from steersman import recurring
from steersman.examples import kept_of
from steersman.hindsight import begun, figure, listed, ranking_of, saved_told, why_best
from steersman.journal import JournalEntry
from steersman.late.entries import AFTER_THE_END, heard_in, recorded_in
from steersman.late.rescoring import asked_again
from steersman.lifetime import begin_of, how_it_went
from steersman.ranking import Ranking
from steersman.recurring import proposals_told
from steersman.reporters.console import moved, outcome
from steersman.requirements import requirements_of
from steersman.tied_set import Losses, tied_set
from steersman.whereabouts import Whereabouts

_NOT_DONE = frozenset({"refused", "lost", "vetoed", "failed", "unknown", "expired"})


@frozen
class Chapter:
    """A title and the sentences under it."""

    title: str
    sentences: tuple[str, ...]


def explain(entries: Sequence[JournalEntry], there: Whereabouts | None = None) -> tuple[Chapter, ...]:
    """Return the story of one run from its journal entries; a chapter with nothing to say is left out.

    It works on the journal of a run that was killed. `there` knows where its checkpoints lie; without it nothing is
    said of that.
    """
    problems: list[str] = []
    ranking = ranking_told(entries, problems)
    chapters = (
        Chapter("The run", how_it_went(entries)),
        Chapter(
            "Why the best checkpoint is the best",
            (*why_best(ranking), *_tied(ranking, there), *_kept(ranking, there), *problems),
        ),
        Chapter("What came late", tuple(late_told(entries))),
        Chapter("What was noticed", _noticed(entries)),
        Chapter("Why each value changed", _changes(entries)),
        Chapter("What it would have changed", proposals_told(entries, ("advised",))),
        Chapter("What it asked for", proposals_told(entries, ("accepted",))),
        Chapter(
            "What begins anew",
            tuple(_once(f"Step {e.step}: {e.data['because']}." for e in entries if e.kind == "restart")),
        ),
        Chapter("What was proposed and not done", proposals_told(entries, _NOT_DONE)),
        Chapter("Strategies that failed", recurring.failures_told(entries)),
        Chapter("What was said on the way", tuple(_once(e.data["message"] for e in entries if e.kind == "note"))),
        Chapter("Accounts", recurring.accounts(entries)),
    )
    return tuple(chapter for chapter in chapters if chapter.sentences)


def ranking_told(entries: Sequence[JournalEntry], problems: list[str] | None = None) -> Ranking:
    """Return the ranking of a journal: its scores in config order, and where it says checkpoints were saved.

    It has what came late and what the run requires. Where a late score could not be scored, `problems` says why.
    """
    begin = begin_of(entries)
    order = tuple(str(strategy["name"]) for strategy in begin.get("strategies", ()))
    saved = saved_told(entries)
    config: Mapping[str, Any] = begin.get("config") or {}
    ranking = ranking_of(entries, order, saved, requires=requirements_of(config.get("score"), []))
    ranking.saved = saved
    said = asked_again(ranking, entries)
    if problems is not None:
        problems += said
    return ranking


def late_told(entries: Sequence[JournalEntry], of: int | None = None) -> Iterator[str]:
    """Yield a sentence for each late score, of one step if it is given, with the check that heard it.

    A run that was never supervised has no check that could have.
    """
    supervised = any(entry.kind == "run" for entry in entries)
    found = [(at, scores) for at, scores in heard_in(entries).items() if at[1] != AFTER_THE_END]
    heard = [(step, late) for (step, _), scores in found for late in scores]
    for late in recorded_in(entries):
        at = next((step for step, other in heard if other == late), None)
        if at is not None:
            heard.remove((at, late))
        if of is not None and late.step != of:
            continue
        metrics = listed([f"{name} {value:.6g}" for name, value in late.metrics.items()])
        by = f" by {late.by}" if late.by else ""
        then = f", heard at step {at}" if at is not None else ", heard by no check" if supervised else ""
        yield f"Step {late.step}: {metrics}{by}{then}."


def _tied(ranking: Ranking, there: Whereabouts | None) -> tuple[str, ...]:
    losses: Losses = kept_of(there.folder).read() if there is not None else {}
    found = tied_set(ranking, losses)
    said = found.sentence() if found is not None else ""
    return (f"{begun(said)}.",) if said else ()


def _kept(ranking: Ranking, there: Whereabouts | None) -> tuple[str, ...]:
    best = ranking.best()
    if best is None or there is None:
        return ()
    place = there.place(best)
    if place is not None:
        return (f"It was saved in {place}.",)
    fate = there.fate(best)
    places = ((c, there.place(c)) for c in ranking.ranked())
    kept, where = next(((c, place) for c, place in places if place is not None), (None, None))
    if kept is None:
        return (f"{begun(best.name)} {fate}; no checkpoint that may be best is left on this disk.",)
    number = next(i for i, c in enumerate(ranking.ranked(), 1) if c.key == kept.key)
    score = kept.scores[ranking.leader or ""].value
    rank = f"number {number} with {figure(score)}"
    return (f"{begun(best.name)} {fate}. The best that was kept is {kept.name}, {rank}, in {where}.",)


def _noticed(entries: Sequence[JournalEntry]) -> tuple[str, ...]:
    said: list[str] = []
    for group in recurring.findings(entries):
        d = group.first.data
        said.append(f"{d['name']} ({d['severity']}, {d['strategy']}), {group.where}: {group.of('message')}.")
    return tuple(said)


def _changes(entries: Sequence[JournalEntry]) -> tuple[str, ...]:
    made = [entry for entry in entries if entry.kind == "adjustment"]
    said: list[str] = []
    for group in recurring.grouped(made, "hyperparameter"):
        if len(group.entries) > 1:
            product = group.entries[-1].data["factor"]
            said.append(f"{group.first.data['hyperparameter']} changed {group.where}: x{product:.4g} together.")
    judged = [
        f"Since {e.data['hyperparameter']} was changed at step {e.data['changed_at']} by {e.data['strategy']}: "
        f"{outcome(e.data)}."
        for e in entries
        if e.kind == "outcome"
    ]
    back = [
        f"Step {e.step}: weights and optimizer went back to those of step {e.data['to_step']}, because "
        f"{e.data['strategy']} said: {e.data['because']}."
        for e in entries
        if e.kind == "rollback"
    ]
    return (*said, *(_change(entry, entries) for entry in made), *back, *judged)


def _change(made: JournalEntry, entries: Sequence[JournalEntry]) -> str:
    d = made.data
    own = [e.data for e in entries if _is_finding(e, made.step, d["strategy"])]
    why = [finding for finding in own if finding["name"] == d["because"]] or own
    because = f"{d['because']}: {why[0]['message']}" if why else d["because"]
    back = "not read back" if d["read_back"] is None else f"read back as {d['read_back']:.6g}"
    what = f"{d['hyperparameter']} {moved(d)}, {back}"
    return f"Step {made.step}: {what}. {d['strategy']} proposed it because of {because}."


def _is_finding(entry: JournalEntry, step: int, strategy: str) -> bool:
    return entry.kind == "finding" and entry.step == step and entry.data["strategy"] == strategy


def _once(messages: Any) -> list[str]:
    return list(dict.fromkeys(str(message) for message in messages))
