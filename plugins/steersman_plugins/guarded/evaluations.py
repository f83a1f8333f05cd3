"""What the evaluations of a run show: that it diverged, never began, or overfits."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from steersman import Rollback, Stop
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.past import Past
from steersman_plugins.seed_rules import Fired
from steersman_plugins.trends import rising

_RISE = 1.02
"""How many times the evaluation before a loss must be to go on rising, far above the first loss."""


def worse_than_start(r: EvaluatedRules, past: Past, logs: tuple[float, ...]) -> Fired | None:
    """Return what shows in the first evaluations that the run went far up from where it began.

    At the very first evaluation what is not so far up is only named: its state is none to go back to, and the next one
    tells. An eval loss alone may be that of harder data.
    """
    start = past.start
    if not 1 <= len(past.points) <= r.early or start is None or start <= 0 or not logs:
        return None
    newest, recent, is_first = past.points[-1].evaluated, logs[-1], len(past.points) == 1
    both = min(newest, recent)
    limit = r.start_multiple * start
    if is_first:
        is_named, acts = newest > limit and recent > start, both > r.sure_start_multiple * start
    else:
        is_named = acts = both > limit and newest > _RISE * past.points[-2].evaluated
    if not is_named:
        return None
    message = f"eval loss {newest:.4g} and train loss {recent:.4g}: the first loss of the run was {start:.4g}"
    fired = _back("worse-than-start", message, r.early_factor, {"eval_loss": newest, "start": start})
    return fired if acts else evolve(fired, changes=())


def diverged(r: EvaluatedRules, past: Past, logs: tuple[float, ...], factor: float) -> Fired | None:
    """Return what shows that train and eval loss are above their best by more than noise and progress explain.

    `factor` is what the learning rate is then multiplied by. Either both are; or the train loss, of the newest `logs`,
    has lost so much of its progress that any rise of the eval loss is of one piece with it.
    """
    if len(past.points) < 3 or not past.progress or past.evals[-1] == min(past.evals):
        return None  # the best of all evaluations is no divergence, whatever one batch began at
    start = () if past.start is None else (past.start,)
    evals, trains = (*start, *past.evals), (*start, *past.trains)
    if not trains:
        return None
    recent = sum(logs[-3:]) / len(logs[-3:]) if logs else trains[-1]
    lost = (recent - min(trains)) / past.progress
    of_evals = past.above_best(evals, r.noise_multiple, r.progress_share)
    of_trains = max(past.above_best(t, r.noise_multiple, r.progress_share) for t in (trains, (*trains[:-1], recent)))
    has_learned = past.progress >= r.learned_share * abs(past.start or 0.0)
    rose = past.above_best(evals, r.severe_noise_multiple, r.severe_eval_share)
    is_severe = has_learned and lost > r.severe_share and rose > 1
    is_early = len(past.points) <= r.early
    if not (min(of_evals, of_trains) > (r.early_excess if is_early else 1.0) or (is_severe and not is_early)):
        return None
    newest = past.points[-1].evaluated
    message = (
        f"the train loss has lost {lost:.0%} of its progress, the eval loss ({newest:.4g}) is {of_evals:.1f} times as "
        "far above its best as noise and progress explain"
    )
    evidence: dict[str, float | None] = {"eval_loss": newest, "lost": lost, "eval_excess": of_evals}
    return _back("diverged", message, factor, evidence)


def died(r: EvaluatedRules, sick: Fired, evaluations: int, undone: Sequence[Sequence[int]]) -> Fired | None:
    """Return that units died, where they did right after a rollback to the begin: the rate is too high still."""
    is_due_to_rate = sick.rule == "dead-units" and undone and undone[-1][0] == 0 and evaluations <= r.early
    return _back(sick.rule, sick.message, r.early_factor, sick.evidence) if is_due_to_rate else None


def overfits(r: EvaluatedRules, past: Past, before: int) -> Fired | None:
    """Return what shows that the eval loss rises while the train loss falls; `before` times it did so already."""
    evals, trains = past.evals[-r.trend :], past.trains[-r.trend :]
    if len(evals) < r.trend or len(trains) < r.trend:
        return None
    lowest = min(past.evals)
    lost = evals[-1] - lowest
    z = rising(evals)
    if past.progress < r.learned_share * abs(past.start or 0.0):
        return None  # what has learned nothing yet wobbles
    if z <= r.overfitting_z or not trains[-1] < trains[0] or lost <= r.overfitting_share * past.progress:
        return None
    message = f"eval loss rises (z {z:.1f} over {len(evals)} evaluations, {lost:.4g} above its best), train loss falls"
    evidence: dict[str, float | None] = {"z": z, "above_best": lost}
    if before:
        return Fired("overfitting", message, evidence, (Stop(f"overfitting again: {message}"),), "critical")
    return _back("overfitting", message, r.overfitting_factor, evidence)


def _back(rule: str, message: str, factor: float, evidence: dict[str, float | None]) -> Fired:
    return Fired(rule, message, evidence, (Rollback(f"{rule}: {message}", factor),), "critical")
