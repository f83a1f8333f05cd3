"""Tells a replay as plain values: what each scorer keeps, what was found and proposed, and how it did on the task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from steersman.checkpoints import Checkpoint, TrainLoss
from steersman.journal import JournalEntry
from steersman.ranking import Ranking
from steersman.readers import Recording
from steersman.replaying import Replay
from steersman.results.run import (
    LAST,
    LOWEST_EVAL_LOSS,
    Choice,
    FindingMade,
    ProposalMade,
    ReplayedRun,
    ScoreGiven,
    StopAsked,
    TaskMetric,
)
from steersman.results.task_metrics import directions, of_unknown_direction

_NOT_HEARD = frozenset({"refused", "lost", "vetoed", "failed", "unknown", "expired"})
_ERROR = ("strategy", "origin", "hook", "error", "quarantined")


def told(replay: Replay, task_metrics: Mapping[str, bool] | None = None, tree_path: str | None = None) -> ReplayedRun:
    """Return what is to be told of one replay.

    `task_metrics` are given by hand, by name, with whether higher is better; others are known by their names.
    `tree_path` is what the run is called where it was found in a tree.
    """
    ranking, recording = replay.ranking, replay.recording
    evaluated = [c for c in ranking.all() if not c.is_baseline]
    made: dict[str, list[Any]] = {kind: [] for kind in _MAKERS}
    for entry in replay.entries:
        if entry.kind in made:
            made[entry.kind].append(_MAKERS[entry.kind](entry))
    leader, last_step = ranking.leader, max((record.step for record in recording.records), default=0)
    best = {name: c for name in ranking.order if (c := ranking.best(name)) is not None}
    lowest, last = ranking.lowest_loss, evaluated[-1] if evaluated else None
    choosers = {**best, **({LOWEST_EVAL_LOSS: lowest} if lowest else {}), **({LAST: last} if last else {})}
    names = dict.fromkeys(name for c in evaluated for name in c.metrics)
    proposals: list[ProposalMade] = made["proposal"]
    return ReplayedRun(
        path=tree_path or str(recording.path),
        format=recording.format,
        records=len(recording.records),
        evaluations=len(evaluated),
        last_step=last_step,
        choices={name: _choice(checkpoint, name) for name, checkpoint in best.items()},
        lowest_eval_loss=_choice(lowest, leader) if lowest else None,
        last_evaluation=_choice(last, leader) if last else None,
        scores=tuple(made["score"]),
        findings=tuple(made["finding"]),
        proposals=tuple(proposals),
        task_metrics=_on_the_task(evaluated, choosers, directions(names, task_metrics)),
        stops=stops_of(proposals, ranking, _planned_end(recording, last_step)),
        errors=tuple(made["error"]),
        never_came=replay.summary["never_came"],
        left_out=replay.left_out,
        source=str(recording.path),
        unknown_direction=of_unknown_direction(names, task_metrics),
        notes=recording.notes,
    )


def unreadable(path: str | Path, error: Exception | str) -> ReplayedRun:
    """Return what is to be told of a run that cannot be read."""
    return ReplayedRun(str(path), error=str(error))


def _planned_end(recording: Recording, last_step: int) -> int:
    """Return the step at which a run would have ended: a supervised one may have been stopped before it."""
    planned = recording.plan.total_steps if recording.supervised else None
    return max(last_step, planned or 0)


def stops_of(proposals: Iterable[ProposalMade], ranking: Ranking, last_step: int) -> tuple[StopAsked, ...]:
    """Return the first stop of each strategy that would have been heard: it ends the run, so later ones are none."""
    first: dict[str, int] = {}
    for proposal in proposals:
        if proposal.change == "stop" and proposal.verdict not in _NOT_HEARD:
            first.setdefault(proposal.strategy, proposal.step)
    ranked = ranking.ranked() if first else ()
    asked: list[StopAsked] = []
    for strategy, step in first.items():
        best = ranked[0].step if ranked else None
        given_up = best if best is not None and best > step else None
        asked.append(StopAsked(step, strategy, max(last_step - step, 0), given_up))
    return tuple(asked)


def _on_the_task(
    evaluated: Iterable[Checkpoint], choosers: Mapping[str, Checkpoint], metrics: Mapping[str, bool]
) -> tuple[TaskMetric, ...]:
    """Return each task metric at the checkpoint of each chooser; where it is not a finite number, that has none."""
    told: list[TaskMetric] = []
    for name, higher in metrics.items():
        values = [value for c in evaluated if math.isfinite(value := c.metrics.get(name, math.nan))]
        at = {who: v for who, c in choosers.items() if math.isfinite(v := c.metrics.get(name, math.nan))}
        if values:
            told.append(TaskMetric(name, higher, max(values) if higher else min(values), at))
    return tuple(told)


def _choice(checkpoint: Checkpoint, scorer: str | None) -> Choice:
    score = checkpoint.scores.get(scorer or "")
    return Choice(checkpoint.step, score.value if score else None, checkpoint.path, checkpoint.metrics.get("eval_loss"))


def _score(entry: JournalEntry) -> ScoreGiven:
    data, loss = entry.data, entry.data.get("train_loss")
    return ScoreGiven(
        entry.step, data["strategy"], data["value"], data.get("terms") or {}, TrainLoss(**loss) if loss else None
    )


def finding_of(entry: JournalEntry) -> FindingMade:
    """Return the finding that an entry of the journal tells of."""
    data = entry.data
    return FindingMade(
        entry.step, data["strategy"], data["name"], data["severity"], data["message"], data.get("evidence") or {}
    )


def _proposal(entry: JournalEntry) -> ProposalMade:
    data = entry.data
    change = data.get("change") or data["action"]
    return ProposalMade(
        entry.step, data["strategy"], data.get("hyperparameter"), change, data["verdict"], data["reason"]
    )


def error_of(entry: JournalEntry) -> Mapping[str, Any]:
    """Return the failure of a strategy that an entry of the journal tells of."""
    return {"step": entry.step, **{name: entry.data.get(name) for name in _ERROR}}


_MAKERS: Mapping[str, Callable[[JournalEntry], Any]] = {
    "score": _score,
    "finding": finding_of,
    "proposal": _proposal,
    "error": error_of,
}
