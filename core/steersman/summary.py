"""What is said when a run is over: the best of each scorer, where they disagree, and what was never saved."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from steersman.checkpoints import Checkpoint
from steersman.history import History
from steersman.ranking import Ranking, exists
from steersman.run import Run
from steersman.spelling import nearest
from steersman.tied_set import Losses, TiedSet, tied_set

_SHOWN = 10
_NONE: Losses = {}


def of(
    run: Run, ranking: Ranking, dropped: Collection[str], seconds: Mapping[str, float], losses: Losses, rollbacks: int
) -> dict[str, Any]:
    """Return the facts of a run that is over; `seconds` is what each strategy took, `losses` are those of examples.

    `rollbacks` is how often it went back.
    """
    return {
        **choices(ranking, losses),
        "changes": len(run.adjustments),
        "rollbacks": rollbacks,
        "elapsed": run.elapsed,
        "never_came": never_came(
            run.history, dropped, [required.metric for required in ranking.requires], came_late(ranking)
        ),
        "strategy_seconds": seconds,
    }


def choices(ranking: Ranking, losses: Losses = _NONE) -> dict[str, Any]:
    """Return the end-of-run facts about checkpoints, as plain values for the journal."""
    leader = ranking.leader
    best, lowest = ranking.best(), ranking.lowest_loss
    knows_disk = bool(ranking.saved)
    kept = ranking.best(where=exists) if knows_disk else None
    return {
        "scorer": leader,
        "best": _shown(best, leader),
        "best_per_scorer": {name: _shown(ranking.best(name), name) for name in ranking.order if ranking.ranked(name)},
        "lowest_eval_loss": _shown(lowest, leader),
        "disagree": best is not None and lowest is not None and _loss(best) != _loss(lowest),
        "best_saved": _shown(kept, leader),
        "ranking": [_shown(c, leader) for c in ranking.ranked() if exists(c) or not knows_disk][:_SHOWN],
        "passed_over": [
            {"step": c.step, "score": c.scores[leader or ""].value, "why": why.reason, "waits": why.waits}
            for c, why in ranking.passed_over()[:_SHOWN]
        ],
        "passed_over_count": len(ranking.passed_over()),
        "evaluations": sum(not c.is_baseline for c in ranking.all()),
        "saved_known": knows_disk,
        "tied": _tied(tied_set(ranking, losses)),
    }


def _tied(found: TiedSet | None) -> dict[str, Any] | None:
    if found is None:
        return None
    told = [_shown(c, None) or {} for c in found.checkpoints]
    steps = [{name: c[name] for name in ("step", "averaged") if name in c} for c in told]
    return {"checkpoints": steps, "how": found.how, "examples": found.examples, "sentence": found.sentence()}


def never_came(
    history: History, dropped: Collection[str] = (), required: Collection[str] = (), late: Collection[str] = ()
) -> dict[str, str | None]:
    """Return each metric that a strategy asked for, or that is `required`, and that never came, not even `late`.

    Each is told with the nearest one that did.
    """
    came = (*history.names(), *late)
    asked = {*history.missing, *required}
    absent = sorted(name for name in asked if name not in history and name not in dropped and name not in late)
    return {name: nearest(name, came) for name in absent}


def came_late(ranking: Ranking) -> tuple[str, ...]:
    """Return the names of the metrics that came after their evaluation."""
    return tuple(dict.fromkeys(name for late in ranking.late.values() for name in late))


def _loss(checkpoint: Checkpoint) -> float | None:
    return checkpoint.metrics.get("eval_loss")


def _shown(checkpoint: Checkpoint | None, scorer: str | None) -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    score = checkpoint.scores.get(scorer or "")
    averaged = {"averaged": list(checkpoint.averaged)} if checkpoint.averaged else {}
    return {
        "step": checkpoint.step,
        **averaged,
        "epoch": checkpoint.epoch,
        "score": score.value if score else None,
        "terms": dict(score.terms) if score else {},
        "eval_loss": checkpoint.metrics.get("eval_loss"),
        "train_loss": checkpoint.train_loss.value if checkpoint.train_loss else None,
        "path": checkpoint.path,
        "exists": exists(checkpoint),
    }
