"""Another learning rate, tried: on a floor of noise a lower one, where a run crawls a higher one; kept if it helped."""

from __future__ import annotations

import itertools

from steersman import Adjust, Rollback
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.memory import Trial, Trying
from steersman_plugins.guarded.past import Past
from steersman_plugins.trends import rising

TRIAL, BACK, KEPT = "trial", "trial taken back", "trial kept"


def wanted(r: EvaluatedRules, past: Past, since_change: int, *, decays: bool) -> Trying | None:
    """Return which trial the evaluations ask for; `since_change` of them were made with the rate in force.

    A rate that `decays` by its own schedule is not lowered.
    """
    evals = past.evals[-r.trend :]
    if len(evals) < r.trend or since_change < r.trend or past.start is None:
        return None
    return "slow" if _crawls(r, past, evals) else "floor" if not decays and _floats(r, past, evals) else None


def proposed(r: EvaluatedRules, kind: Trying) -> Adjust:
    """Return the change of a trial."""
    factor = r.slow_factor if kind == "slow" else r.floor_factor
    why = "the loss falls steadily and slowly" if kind == "slow" else "the loss stands still in its noise"
    return Adjust("learning_rate", scale=factor, because=f"{TRIAL}: {why}", lasting=True)


def has_helped(r: EvaluatedRules, past: Past, trial: Trial) -> bool:
    """Whether the evaluations since a trial show that it helped."""
    since = past.evals[-r.judge_after :]
    if trial.kind == "slow":
        return trial.lowest - since[-1] > 2.0 * trial.fall * len(since)
    return trial.lowest - min(since) > 0


def taken_back(past: Past, trial: Trial) -> Adjust | Rollback:
    """Return what undoes a trial that did not help: where it did harm the weights go back too."""
    if trial.factor > 1 and past.evals[-1] > trial.lowest:
        return Rollback(f"{BACK}: the eval loss is above what it was", 1 / trial.factor)
    return Adjust("learning_rate", scale=1 / trial.factor, because=f"{BACK}: it did not help", lasting=True)


def fall(evals: tuple[float, ...]) -> float:
    """Return how much a loss falls an evaluation, 0 where it does not."""
    return max((evals[0] - evals[-1]) / (len(evals) - 1), 0.0) if len(evals) > 1 else 0.0


def _crawls(r: EvaluatedRules, past: Past, evals: tuple[float, ...]) -> bool:
    """Whether the loss falls all the time, as fast as before, and has come down little from where it began."""
    start = past.start or 0.0
    half = len(evals) // 2
    first, second = fall(evals[: half + 1]), fall(evals[half:])
    is_steady = all(b < a for a, b in itertools.pairwise(evals)) and second >= 0.7 * first
    return is_steady and start > 0 and start - evals[-1] < r.slow_share * start


def _floats(r: EvaluatedRules, past: Past, evals: tuple[float, ...]) -> bool:
    """Whether the loss neither falls nor rises, and scatters much beside the way it has come."""
    earlier = past.evals[: -r.trend // 2]
    is_still = abs(rising(evals)) < 1.0 and min(past.evals[-r.trend // 2 :]) >= min(earlier)
    return is_still and past.noise > r.floor_share * past.progress > 0
