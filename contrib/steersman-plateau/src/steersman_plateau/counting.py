"""How torch.optim.lr_scheduler.ReduceLROnPlateau counts: values in, values out."""

from __future__ import annotations

import math
from typing import Literal

from attrs import evolve, frozen

Mode = Literal["min", "max"]
ThresholdMode = Literal["rel", "abs"]


@frozen
class Counts:
    """The best value so far, the evaluations since that were no better, and those that cooling down still takes."""

    best: float | None = None
    bad: int = 0
    cooling: int = 0


def is_better(value: float, best: float | None, mode: Mode, threshold: float, threshold_mode: ThresholdMode) -> bool:
    """Return whether `value` is better than `best` by more than `threshold`: of it (`rel`) or in its unit (`abs`).

    NaN and infinity never are; the first finite value is. As in torch a relative threshold is meant for values above
    zero: below zero it lets through what is a little worse.
    """
    if not math.isfinite(value):
        return False
    if best is None:
        return True
    if mode == "min":
        return value < (best * (1.0 - threshold) if threshold_mode == "rel" else best - threshold)
    return value > (best * (threshold + 1.0) if threshold_mode == "rel" else best + threshold)


def after_evaluation(counts: Counts, value: float, *, better: bool) -> Counts:
    """Return the counts after an evaluation; while it cools down no evaluation is bad."""
    best, bad = (value, 0) if better else (counts.best, counts.bad + 1)
    return Counts(best, 0, counts.cooling - 1) if counts.cooling else Counts(best, bad, 0)


def after_change(counts: Counts, cooldown: int) -> Counts:
    """Return the counts after the learning rate was changed: how it does at the new one is not known yet."""
    return evolve(counts, bad=0, cooling=cooldown)


def may_cut(rate: float | None, factor: float, min_lr: float, eps: float) -> bool:
    """Return whether a cut would lower the rate by more than `eps`; a rate that is not known may be cut."""
    return rate is None or rate - max(rate * factor, min_lr) > eps
