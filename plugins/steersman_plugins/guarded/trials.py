"""Another learning rate, tried: on a floor of noise a lower one, where a run crawls a higher one; kept if it helped."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from steersman import Adjust, Rollback
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.guarded.memory import Trial, Trying
from steersman_plugins.guarded.past import Past
from steersman_plugins.trends import rising

TRIAL, BACK = "trial: ", "taken back: "


def wanted(r: EvaluatedRules, past: Past, since_change: int, decays: Callable[[], bool]) -> Trying | None:
    """Return which trial the evaluations ask for; `since_change` of them were made with the rate in force.

    A rate that `decays` by its own schedule, which is asked last, is not lowered.
    """
    if past.start is None or past.start <= 0:
        return None
    if since_change >= r.slow_trend and _crawls(r, past, past.start):
        return "slow"
    return "floor" if since_change >= r.floor_trend and _floats(r, past, past.start) and not decays() else None


def proposed(r: EvaluatedRules, kind: Trying) -> Adjust:
    """Return the change of a trial."""
    if kind == "floor":
        because = f"{TRIAL}the loss stands still in its noise"
        return Adjust("learning_rate", scale=r.floor_factor, because=because, lasting=True)
    because = f"{TRIAL}the loss falls steadily and slowly"
    return Adjust("learning_rate", scale=r.slow_factor, because=because, lasting=True)


def checks_needed(r: EvaluatedRules, trial: Trial) -> int:
    """Return after how many evaluations a trial is judged."""
    return r.judge_slow_after if trial.kind == "slow" else r.judge_floor_after


def has_helped(r: EvaluatedRules, past: Past, trial: Trial) -> bool:
    """Whether the evaluations since a trial show that it helped."""
    since = past.evals[-checks_needed(r, trial) :]
    if trial.kind == "slow":
        return trial.lowest - since[-1] > (1.0 if trial.follows else r.slow_speed) * trial.fall * len(since)
    return min(since) < trial.lowest


def goes_on(r: EvaluatedRules, past: Past, trial: Trial) -> bool:
    """Whether a higher rate that helped asks for one that is higher still: the loss fell faster in proportion to it."""
    since = past.evals[-checks_needed(r, trial) :]
    fell = (trial.lowest - since[-1]) / len(since)
    return trial.kind == "slow" and fell > r.in_proportion * trial.factor * trial.fall


def taken_back(past: Past, trial: Trial, *, may_go_back: bool = True) -> Adjust | Rollback:
    """Return what undoes a trial that did not help: where it did harm the weights go back too, if they may."""
    if may_go_back and trial.factor > 1 and past.evals[-1] > trial.lowest:
        return Rollback(f"{BACK}the eval loss is above what it was", 1 / trial.factor)
    return Adjust("learning_rate", scale=1 / trial.factor, because=f"{BACK}it did not help", lasting=True)


def fall(evals: tuple[float, ...]) -> float:
    """Return how much a loss falls an evaluation, 0 where it does not."""
    return max((evals[0] - evals[-1]) / (len(evals) - 1), 0.0) if len(evals) > 1 else 0.0


def _crawls(r: EvaluatedRules, past: Past, start: float) -> bool:
    """Whether the loss has fallen all the time, by much the same each time, and little from where it began.

    A run that is fine-tuned comes down little too, but not evenly.
    """
    falls = [a - b for a, b in itertools.pairwise(past.evals)]
    is_even = len(falls) >= r.slow_trend - 1 and 0 < max(falls) <= r.slow_evenness * min(falls)
    return is_even and start - past.evals[-1] < r.slow_share * start


def _floats(r: EvaluatedRules, past: Past, start: float) -> bool:
    """Whether the loss neither falls nor rises, and scatters much beside the way it has come."""
    evals, half = past.evals[-r.floor_trend :], r.floor_trend // 2
    is_still = abs(rising(evals)) < 1.0 and min(evals[-half:]) >= min(past.evals[:-half])
    has_learned = past.progress >= r.learned_share * start
    return is_still and has_learned and past.noise > r.floor_share * past.progress
