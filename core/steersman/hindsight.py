"""The ranking of a run, made again from its journal entries, and why its best is the best, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from steersman.checkpoints import Checkpoint, TrainLoss
from steersman.decisions import Score
from steersman.journal import JournalEntry
from steersman.late.entries import heard_in, newest_by_step, recorded_in
from steersman.ranking import Ranking
from steersman.records import Record
from steersman.requirements import Barrier, Requirement

_TOLD = 5
"""How many checkpoints of one kind are told of."""


def ranking_of(
    entries: Iterable[JournalEntry],
    order: tuple[str, ...] = (),
    saved: Mapping[int, str] | None = None,
    *,
    requires: tuple[Requirement, ...] = (),
    evaluated: Mapping[int, Mapping[str, float]] | None = None,
) -> Ranking:
    """Return the ranking that the `score` and `unscored` entries tell of; it needs no `end` entry.

    `order` are the scorers in config order; a scorer that is not in it comes after, in order of appearance.
    `saved` are checkpoint directories by step. `requires` is what a checkpoint must have, of the metrics `evaluated`
    by step where the entries have no records, and of those that came late.
    """
    told = list(entries)
    found: dict[int, tuple[Mapping[str, Any], dict[str, Score]]] = {}
    names = dict.fromkeys(order)
    for entry in told:
        if entry.kind == "score":
            _, scores = found.setdefault(entry.step, (entry.data, {}))
            scores[entry.data["strategy"]] = _score(entry.data)
            names.setdefault(entry.data["strategy"])
        elif entry.kind == "unscored":
            found.setdefault(entry.step, (entry.data, {}))
        elif entry.kind == "averaged":
            names |= dict.fromkeys(entry.data["scores"])
    ranking = Ranking(tuple(names), requires)
    late = recorded_in(told) or [score for scores in heard_in(told).values() for score in scores]
    ranking.late.update(newest_by_step(late))
    paths, whole = saved or {}, evaluated if evaluated is not None else evaluated_in(told)
    for step, (data, given) in found.items():
        loss = data.get("train_loss")
        metrics = data.get("metrics") or {"eval_loss": data.get("eval_loss")}
        known = {name: value for name, value in metrics.items() if value is not None}
        train_loss = TrainLoss(**loss) if loss else None
        scores = {name: given[name] for name in names if name in given}
        metrics = {**whole.get(step, {}), **known}
        ranking.add(Checkpoint(step, data.get("epoch"), metrics, train_loss, scores, paths.get(step)))
    for entry in told:
        if entry.kind == "averaged" and entry.data["scores"]:
            ranking.add_average(_average(entry))
    return ranking


def _average(entry: JournalEntry) -> Checkpoint:
    data = entry.data
    loss = data.get("train_loss")
    scores = {name: _score(score) for name, score in data["scores"].items()}
    train_loss, steps = TrainLoss(**loss) if loss else None, tuple(data["steps"])
    allowed = data.get("allowance", 0.0)
    return Checkpoint(data["centre"], data["epoch"], data["metrics"], train_loss, scores, data["path"], steps, allowed)


def saved_told(entries: Iterable[JournalEntry]) -> dict[int, str]:
    """Return where the checkpoint of each step was saved; one that a later save wrote over is left out."""
    steps: dict[str, int] = {}
    for entry in entries:
        if entry.kind == "checkpoint_saved":
            steps[str(entry.data["path"])] = entry.step
    return {step: path for path, step in steps.items()}


def written_over(entries: Iterable[JournalEntry]) -> dict[int, int]:
    """Return, for each step whose every checkpoint was written over, the step that wrote over it."""
    last: dict[str, int] = {}
    over: dict[int, int] = {}
    for entry in entries:
        if entry.kind == "checkpoint_saved":
            path = str(entry.data["path"])
            if last.get(path, entry.step) != entry.step:
                over[last[path]] = entry.step
            last[path] = entry.step
    return {step: by for step, by in over.items() if step not in last.values()}


def evaluated(records: Iterable[Record]) -> dict[int, dict[str, float]]:
    """Return the metrics of each evaluated step, merged."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        if record.kind == "eval":
            found.setdefault(record.step, {}).update(record.metrics)
    return found


def evaluated_in(entries: Iterable[JournalEntry]) -> dict[int, dict[str, float]]:
    """Return the same of the entries of a journal."""
    found: dict[int, dict[str, float]] = {}
    for entry in entries:
        if entry.kind == "record" and entry.data["of"] == "eval":
            found.setdefault(entry.step, {}).update(entry.data["metrics"])
    return found


def _score(data: Mapping[str, Any]) -> Score:
    return Score(data["value"], data.get("terms") or {}, data.get("because") or "", data.get("rejected"))


@frozen
class Comparison:
    """Two checkpoints in the terms of one scorer (lower is better): what the better gains and loses by each."""

    scorer: str
    better: Checkpoint
    worse: Checkpoint
    terms: tuple[tuple[str, float, float], ...] = field(default=())

    @property
    def lead(self) -> float:
        """How much lower the better one's score is."""
        return self.worse.scores[self.scorer].value - self.better.scores[self.scorer].value

    @property
    def is_sum(self) -> bool:
        """Whether the terms make up the lead, so that each tells its share."""
        gains = sum(theirs - ours for _, ours, theirs in self.terms)
        return bool(self.terms) and math.isclose(gains, self.lead, rel_tol=1e-6, abs_tol=1e-9)


def compare(scorer: str, better: Checkpoint, worse: Checkpoint) -> Comparison:
    """Return two scored checkpoints term by term; a term that only one of them has is left out."""
    ours, theirs = better.scores[scorer].terms, worse.scores[scorer].terms
    return Comparison(scorer, better, worse, tuple((name, ours[name], theirs[name]) for name in ours if name in theirs))


def rival_of(ranking: Ranking) -> Checkpoint | None:
    """Return what the best is to be judged against: the lowest eval loss, or where that is the best, the runner-up."""
    leader, lowest, ranked = ranking.leader, ranking.lowest_loss, ranking.ranked()
    if leader is None or not ranked:
        return None
    if lowest is not None and lowest.key != ranked[0].key and any(c.key == lowest.key for c in ranked):
        return lowest
    return ranked[1] if len(ranked) > 1 else None


def why_best(ranking: Ranking) -> tuple[str, ...]:
    """Return why the best checkpoint is the best, in sentences."""
    evaluations = [c for c in ranking.all() if not c.is_baseline]
    leader, ranked, lowest = ranking.leader, ranking.ranked(), ranking.lowest_loss
    if not evaluations:
        return ("No checkpoint was scored: the run has no evaluation.",)
    if leader is None:
        return (f"{count(len(evaluations), 'evaluation')}, and no strategy could score one: no checkpoint is best.",)
    may_not = barred_told(ranking)
    if not ranked and may_not:
        return (f"{leader} scored {count(len(evaluations), 'evaluation')}, and no checkpoint may be best.", *may_not)
    if not ranked:
        rejected = rejected_told(ranking, leader)
        how = "rejected each" if rejected else "gave none a finite score"
        return (f"{leader} scored {count(len(evaluations), 'evaluation')} and {how}: no checkpoint is best.", *rejected)
    best = ranked[0]
    score = best.scores[leader]
    of_evaluations = sum(not c.averaged for c in ranking.ranked(barred=True))
    scored = f"{of_evaluations} of {count(len(evaluations), 'evaluation')}"
    best_told = f"{best.name}, with {figure(score.value)} (lower is better)"
    said = [f"{leader} decides: its best is {best_told}. It scored {scored}."]
    if score.because:
        said.append(score.because)
    rival = rival_of(ranking)
    if lowest is None:
        said.append("No evaluation has a finite eval loss.")
    elif lowest.key == best.key:
        said.append(f"It has the lowest eval loss too, {figure(lowest.metrics['eval_loss'])}.")
    else:
        theirs = _scored(lowest, leader)
        own = f" (at {best.name}: {figure(best.metrics['eval_loss'])})" if "eval_loss" in best.metrics else ""
        said.append(f"The lowest eval loss, {figure(lowest.metrics['eval_loss'])}{own}, is at {lowest.name}{theirs}.")
    if rival is not None:
        said.append(sentence(compare(leader, best, rival)))
    return (*said, *may_not, *rejected_told(ranking, leader))


def _scored(checkpoint: Checkpoint, scorer: str) -> str:
    score = checkpoint.scores.get(scorer)
    if score is None:
        return ""
    if score.rejected is not None:
        return f", which {scorer} rejected"
    return (
        f", which {scorer} scores {figure(score.value)}"
        if math.isfinite(score.value)
        else f", which {scorer} never ranks"
    )


def barred_told(ranking: Ranking, scorer: str | None = None) -> tuple[str, ...]:
    """Return a sentence for each checkpoint that a scorer finds better than its best and that may not be best."""
    name = scorer or ranking.leader or ""
    over = ranking.passed_over(scorer)
    said = [f"{begun(c.name)} scores {figure(c.scores[name].value)} and {barred(why)}." for c, why in over[:_TOLD]]
    more = len(over) - _TOLD
    return (*said, *([f"{more} more {'is' if more == 1 else 'are'} passed over too."] if more > 0 else []))


def barred(why: Barrier) -> str:
    """Return why a checkpoint is passed over, as it follows on its name."""
    return f"is passed over, {why.reason}" if why.waits else f"is rejected: {why.reason}"


def rejected_told(ranking: Ranking, scorer: str) -> tuple[str, ...]:
    """Return a sentence for each reason for which a scorer rejected checkpoints."""
    steps: dict[str, list[str]] = {}
    for checkpoint in ranking.all():
        score = checkpoint.scores.get(scorer)
        if score is not None and score.rejected:
            steps.setdefault(score.rejected, []).append(str(checkpoint.step))
    told = list(steps.items())[:_TOLD]
    return tuple(f"{scorer} rejected {_few(at)}: {reason}." for reason, at in told)


def _few(steps: Sequence[str]) -> str:
    more = [f"{len(steps) - _TOLD} more"] if len(steps) > _TOLD else []
    return f"step{'' if len(steps) == 1 else 's'} {listed([*steps[:_TOLD], *more])}"


def sentence(c: Comparison) -> str:
    """Return what the better of two checkpoints gains and loses against the other."""
    against = f"Against {c.worse.name}, {c.better.name}"
    if c.better.allowance and c.lead <= 0:
        return (
            f"{against} is worse by {figure(-c.lead)}, less than the {figure(c.better.allowance)} that it is allowed."
        )
    if not c.is_sum:
        each = ", ".join(f"{name} {figure(ours)} against {figure(theirs)}" for name, ours, theirs in c.terms)
        return f"{against} is better by {figure(c.lead)}" + (f": {each}." if each else ".")
    gains = [f"{figure(theirs - ours)} by {name}" for name, ours, theirs in c.terms if theirs - ours > 1e-9]
    losses = [f"{figure(ours - theirs)} by {name}" for name, ours, theirs in c.terms if ours - theirs > 1e-9]
    if not gains and not losses:
        return f"{against} scores the same; the earlier is kept."
    parts = [f"gains {listed(gains)}" if gains else "", f"loses {listed(losses)}" if losses else ""]
    return f"{against} {' and '.join(part for part in parts if part)}: better by {figure(c.lead)} in all."


def begun(name: str) -> str:
    """Return a name as it begins a sentence."""
    return name[:1].upper() + name[1:]


def listed(parts: list[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part) if parts else ""


def count(number: int, noun: str) -> str:
    """Return `1 evaluation` or `2 evaluations`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def figure(value: float) -> str:
    """Return a figure with four decimals, or four digits where it is large."""
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"
