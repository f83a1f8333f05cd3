"""What the evaluations of a run show: that it diverged, never began, or overfits."""

from __future__ import annotations

from steersman import Rollback, Stop
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.past import Past
from steersman_plugins.seed_rules import Fired
from steersman_plugins.trends import noise, rising


def worse_than_start(r: EvaluatedRules, past: Past, logs: tuple[float, ...]) -> Fired | None:
    """Return what shows in the first evaluations that the run went up from where it began; `logs` are train losses."""
    if not 1 <= len(past.points) <= r.early or past.start is None or len(logs) < 3:
        return None
    newest, recent = past.points[-1].evaluated, logs[-3:]
    above = min(newest, *recent) - past.start
    limit = r.noise_multiple * min(noise(logs), noise(logs[: len(logs) // 2 + 1]))
    if above <= limit:
        return None
    message = f"eval loss {newest:.4g} and train loss are above the first loss of the run, {past.start:.4g}"
    return _back("worse-than-start", message, r.early_factor, {"eval_loss": newest, "start": past.start})


def diverged(r: EvaluatedRules, past: Past, logs: tuple[float, ...]) -> Fired | None:
    """Return what shows that train and eval loss are both further above their best than noise and progress explain."""
    if len(past.points) < 3:
        return None
    start = () if past.start is None else (past.start,)
    of_evals = past.above_best((*start, *past.evals), r.noise_multiple, r.progress_share)
    if of_evals <= 1:
        return None
    trains = (*start, *past.trains)
    latest = (*trains[:-1], sum(logs[-3:]) / len(logs[-3:])) if logs else trains
    of_trains = max(past.above_best(t, r.noise_multiple, r.progress_share) for t in (trains, latest))
    if of_trains <= 1:
        return None
    newest = past.points[-1].evaluated
    message = (
        f"train loss and eval loss ({newest:.4g}) are above their best by more than noise and progress explain "
        f"({of_trains:.1f} and {of_evals:.1f} times)"
    )
    is_early = len(past.points) <= r.early
    evidence: dict[str, float | None] = {"eval_loss": newest, "train_excess": of_trains, "eval_excess": of_evals}
    return _back("diverged", message, r.early_factor if is_early else r.late_factor, evidence)


def overfits(r: EvaluatedRules, past: Past, before: int) -> Fired | None:
    """Return what shows that the eval loss rises while the train loss falls; `before` times it did so already."""
    evals, trains = past.evals[-r.trend :], past.trains[-r.trend :]
    if len(evals) < r.trend or len(trains) < r.trend:
        return None
    lowest = min(past.evals)
    lost = evals[-1] - lowest
    z = rising(evals)
    if z <= r.overfitting_z or not trains[-1] < trains[0] or lost <= r.overfitting_share * past.progress:
        return None
    message = f"eval loss rises (z {z:.1f} over {len(evals)} evaluations, {lost:.4g} above its best), train loss falls"
    evidence: dict[str, float | None] = {"z": z, "above_best": lost}
    if before:
        return Fired("overfitting", message, evidence, (Stop(f"overfitting again: {message}"),), "critical")
    return _back("overfitting", message, r.overfitting_factor, evidence)


def _back(rule: str, message: str, factor: float, evidence: dict[str, float | None]) -> Fired:
    return Fired(rule, message, evidence, (Rollback(f"{rule}: {message}", factor),), "critical")
