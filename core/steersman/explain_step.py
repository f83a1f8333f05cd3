"""Tells of one step of a run, and of a run that was never supervised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from steersman.checkpoints import Checkpoint
from steersman.explain import Chapter, explain, late_told
from steersman.hindsight import compare, count, figure, listed, sentence, why_best
from steersman.journal import JournalEntry
from steersman.ranking import Ranking
from steersman.recurring import asked_for
from steersman.replaying import Replay
from steersman.reporters.console import moved
from steersman.whereabouts import Whereabouts

_MOST = 12
"""Metrics and terms that are told of a checkpoint."""


@frozen
class Standing:
    """How one scorer sees a checkpoint: its place among `ranked`, 1 is best; None where it was rejected."""

    scorer: str
    place: int | None
    ranked: int


def explain_replay(replay: Replay) -> tuple[Chapter, ...]:
    """Return the story of a run from a replay: what the strategies of its config would have said."""
    saved = replay.recording.saved
    entries = entries_of(replay)
    best = replay.ranking.best()
    kept: tuple[str, ...] = ()
    if saved and best is not None:
        kept = (f"It was saved in {best.path}." if best.path else f"Step {best.step} has no checkpoint here.",)
    own = {
        "The run": Chapter("The run", _how_it_was_looked_at(replay)),
        "Why the best checkpoint is the best": Chapter(
            "Why the best checkpoint is the best", (*why_best(replay.ranking), *kept)
        ),
    }
    return tuple(own.get(chapter.title, chapter) for chapter in explain(entries))


def entries_of(replay: Replay) -> list[JournalEntry]:
    """Return the entries of a replay, with where checkpoints lie and what came late, as a journal has them."""
    recording = replay.recording
    late = [*(score for scores in recording.late_heard.values() for score in scores), *recording.late_left]
    came = (JournalEntry("late_score", score.step, {"metrics": score.metrics, "by": score.by}) for score in late)
    saved = (JournalEntry("checkpoint_saved", step, {"path": path}) for step, path in recording.saved.items())
    return [*replay.entries, *came, *saved]


def explain_step(
    entries: Sequence[JournalEntry], ranking: Ranking, step: int, there: Whereabouts | None = None
) -> tuple[Chapter, ...]:
    """Return what was thought of the checkpoint of `step`, and what was found and proposed there.

    Where it was not evaluated, the nearest evaluated one is told, and what was found at either step. `there` knows
    where the checkpoints lie now; without it they lie where they were saved.
    """
    checkpoint = nearest_evaluated(ranking, step)
    here = entries_at(entries, ranking, step)
    told = (
        Chapter(f"Step {step}", tuple(_what_it_was(checkpoint, step, entries, there))),
        Chapter("How it was scored", tuple(_how_it_was_scored(checkpoint, ranking)) if checkpoint else ()),
        Chapter("What came late", tuple(late_told(entries, checkpoint.step)) if checkpoint else ()),
        Chapter("What was noticed there", tuple(_noticed(here, step))),
        Chapter("What was proposed there", tuple(_proposed(here))),
        Chapter("What was changed there", tuple(_changed(here))),
    )
    return tuple(chapter for chapter in told if chapter.sentences)


def nearest_evaluated(ranking: Ranking, step: int) -> Checkpoint | None:
    """Return the evaluated checkpoint nearest to a step, the earlier of two; None where nothing was evaluated."""
    return min(ranking.all(), key=lambda c: (abs(c.step - step), c.step), default=None)


def entries_at(entries: Sequence[JournalEntry], ranking: Ranking, step: int) -> list[JournalEntry]:
    """Return the entries of a step and of the nearest evaluated one; where no check was made there, of the nearest."""
    checkpoint = nearest_evaluated(ranking, step)
    at = {step} if checkpoint is None else {step, checkpoint.step}
    checks = {entry.step for entry in entries if entry.kind == "check"}
    if checks and not checks & at:
        at.add(min(checks, key=lambda check: (abs(check - step), check)))
    return [entry for entry in entries if entry.step in at]


def standings(checkpoint: Checkpoint, ranking: Ranking) -> tuple[Standing, ...]:
    """Return how each scorer that had an opinion sees a checkpoint, in config order."""
    told: list[Standing] = []
    for name in checkpoint.scores:
        ranked = ranking.ranked(name)
        place = next((i for i, c in enumerate(ranked, 1) if c.step == checkpoint.step), None)
        told.append(Standing(name, place, len(ranked)))
    return tuple(told)


def _how_it_was_looked_at(replay: Replay) -> tuple[str, ...]:
    recording, config = replay.recording, replay.config
    asked = listed([use.name for use in config.use if use.name not in replay.left_out]) or "no strategy"
    last = max((record.step for record in recording.records), default=0)
    checks = sum(entry.data["reason"] == "scheduled" for entry in replay.of("check"))
    attached = (
        "Steersman was attached to this run, and its journal is not here"
        if recording.supervised
        else "Steersman was not attached to this run"
    )
    return (
        f"{attached}: this is what the default strategies would have said, from a replay of its log "
        f"({recording.format}). Nothing of it was done.",
        f"Asked in this order, in mode {config.mode}: {asked}.",
        f"{count(len(recording.records), 'record')} up to step {last}: "
        f"{count(int(replay.summary['evaluations']), 'evaluation')} and {count(checks, 'health check')}.",
    )


def metrics_of(checkpoint: Checkpoint, entries: Sequence[JournalEntry]) -> dict[str, float]:
    """Return every metric of a checkpoint; a journal has more of them in its records than beside a score."""
    logged: dict[str, float] = {}
    for entry in entries:
        if entry.kind == "record" and entry.step == checkpoint.step and entry.data["of"] == "eval":
            logged |= entry.data["metrics"]
    return {**logged, **checkpoint.metrics}


def _what_it_was(
    checkpoint: Checkpoint | None, step: int, entries: Sequence[JournalEntry], there: Whereabouts | None
) -> Iterator[str]:
    if checkpoint is None:
        yield "No step of this run was evaluated."
        return
    if checkpoint.step != step:
        yield f"Step {step} was not evaluated; the nearest evaluated step is {checkpoint.step}."
    else:
        yield "It was evaluated." if not checkpoint.is_baseline else "It is the baseline: scored, and never best."
    known = [f"{name} {value:.6g}" for name, value in metrics_of(checkpoint, entries).items()]
    more = [f"{len(known) - _MOST} more"] if len(known) > _MOST else []
    yield f"Step {checkpoint.step} has {listed([*known[:_MOST], *more]) or 'no metric'}."
    loss = checkpoint.train_loss
    if loss is not None:
        age = "from the same step" if not loss.age_steps else f"{count(loss.age_steps, 'step')} old"
        yield f"Its train loss is {loss.value:.6g}, {age}."
    place = checkpoint.path if there is None else there.place(checkpoint)
    if place is not None:
        yield f"It was saved in {place}."
    elif there is not None and (checkpoint.path is not None or there.saves_known):
        yield f"It {there.fate(checkpoint)}."


def _how_it_was_scored(checkpoint: Checkpoint, ranking: Ranking) -> Iterator[str]:
    why = ranking.barrier(checkpoint)
    if why is not None:
        yield f"It may not be best yet: it is {why.reason}." if why.waits else f"It may not be best: {why.reason}."
    among = " that may be best" if ranking.requires else ""
    for standing in standings(checkpoint, ranking):
        score = checkpoint.scores[standing.scorer]
        if score.rejected is not None:
            yield f"{standing.scorer} rejected it: {score.rejected}."
            continue
        place = f", number {standing.place} of {standing.ranked}{among}" if standing.place else ""
        yield f"{standing.scorer} gave it {figure(score.value)} (lower is better){place}."
        terms = [f"{name} {figure(value)}" for name, value in score.terms.items()]
        if terms:
            yield f"Its terms: {listed(terms[:_MOST])}."
        if score.because:
            yield score.because
        best, *others = ranking.ranked(standing.scorer) or (checkpoint,)
        if standing.place == 1 and others:
            yield sentence(compare(standing.scorer, checkpoint, others[0]))
        elif standing.place is not None and standing.place > 1:
            yield sentence(compare(standing.scorer, best, checkpoint))
    silent = [name for name in ranking.order if name not in checkpoint.scores and ranking.ranked(name)]
    if silent:
        yield f"{listed(silent)} gave it no score."
    if not checkpoint.scores and not silent:
        yield "No strategy scored it."


def _noticed(here: Sequence[JournalEntry], step: int) -> Iterator[str]:
    checks = dict.fromkeys(entry.step for entry in here if entry.kind == "check")
    found = [entry for entry in here if entry.kind == "finding" and entry.data["severity"] != "info"]
    if not checks:
        yield "No health check was made in this run."
    elif step not in checks:
        yield f"No health check was made at step {step}; the nearest is that of step {next(iter(checks))}."
    for entry in found:
        d = entry.data
        yield f"{d['name']} ({d['severity']}, {d['strategy']}), step {entry.step}: {d['message']}."
    if checks and not found:
        yield f"Nothing, in the health check of {listed([f'step {step}' for step in checks])}."
    for entry in here:
        if entry.kind == "error":
            yield f"{entry.data['strategy']} failed in {entry.data['hook']}, step {entry.step}: {entry.data['error']}."


def _proposed(here: Sequence[JournalEntry]) -> Iterator[str]:
    for entry in here:
        if entry.kind == "proposal":
            d = entry.data
            why = f"{asked_for(entry)} by {d['strategy']} because of {d['because']}"
            yield f"{why}, step {entry.step}: {d['verdict']}; {d['reason']}."


def _changed(here: Sequence[JournalEntry]) -> Iterator[str]:
    for entry in here:
        if entry.kind == "adjustment":
            d = entry.data
            yield f"{d['hyperparameter']} {moved(d)} by {d['strategy']}, step {entry.step}."
