"""A checkpoint is its step: the evaluations made there, merged, with the train loss that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import evolve, field, frozen

from steersman.decisions import Score
from steersman.history import History
from steersman.records import Record


@frozen
class TrainLoss:
    """The train loss of a checkpoint: where it came from and how many steps older than the evaluation it is."""

    value: float
    source: Literal["same event", "recent"]
    age_steps: int


@frozen
class Checkpoint:
    """The state of the model at `step`, as far as it is known.

    `metrics` are those of every evaluation at this step; `train_loss` is None where nothing was logged yet; `scores`
    has one entry per scorer that had an opinion, in config order. Step 0 is the baseline: scored, never best. Of a
    mean of several checkpoints `averaged` are their steps; `step` is that of the middle one, whose train loss it has.
    `allowance` is how far the eval loss of a mean may lie above that of another and it still ranks before it.
    """

    step: int
    epoch: float | None
    metrics: Mapping[str, float]
    train_loss: TrainLoss | None
    scores: Mapping[str, Score] = field(factory=dict[str, Score])
    path: str | None = None
    averaged: tuple[int, ...] = ()
    allowance: float = 0.0

    def ranks_by(self, scorer: str) -> float:
        """Return what it ranks by: the score of a scorer, less the allowance where that is the eval loss."""
        value = self.scores[scorer].value
        return value - self.allowance if value == self.metrics.get("eval_loss") else value

    @property
    def name(self) -> str:
        """What it is called in a sentence: `step 140`, or `the average of steps 100, 120 and 140`."""
        return averaged_name(self.averaged) if self.averaged else f"step {self.step}"

    @property
    def key(self) -> tuple[int, tuple[int, ...]]:
        """What tells it from every other checkpoint of its run."""
        return self.step, self.averaged

    @property
    def scorer(self) -> str | None:
        """The first strategy in config order that had an opinion."""
        return next(iter(self.scores), None)

    @property
    def score(self) -> Score | None:
        """The score of `scorer`; lower is better."""
        return self.scores[self.scorer] if self.scorer is not None else None

    @property
    def is_baseline(self) -> bool:
        return self.step == 0

    def copied(self) -> Checkpoint:
        """Return it with metrics of its own, for somebody who might write into them."""
        return evolve(self, metrics=dict(self.metrics), scores=dict(self.scores))


def averaged_name(steps: Sequence[int]) -> str:
    """Return what the mean of the checkpoints of these steps is called in a sentence."""
    *first, last = map(str, steps)
    return f"the average of steps {', '.join(first)} and {last}"


@frozen
class Evaluation:
    """Every evaluation of one step, merged. `eval_loss` is the first named set's where no other set is called so."""

    step: int
    epoch: float | None
    metrics: Mapping[str, float]
    records: int = 1


def first_eval_loss(metrics: Mapping[str, float]) -> str | None:
    """Return the name that serves as `eval_loss`: itself, else the first `eval_*_loss` in order of appearance."""
    if "eval_loss" in metrics:
        return "eval_loss"
    return next((name for name in metrics if name.startswith("eval_") and name.endswith("_loss")), None)


class Evaluations:
    """Merges the eval records of one step; an evaluation closes when as many have arrived as there are sets."""

    def __init__(self, sets: int = 1) -> None:
        self.sets = max(sets, 1)
        self.open: Evaluation | None = None
        self.stands_in: str | None = None

    def add(self, record: Record) -> Evaluation | None:
        """Return the merged evaluation once every set of this step has arrived, else None."""
        merged = self.open if self.open is not None and self.open.step == record.step else None
        metrics = {**merged.metrics, **record.metrics} if merged else dict(record.metrics)
        records = merged.records + 1 if merged else 1
        self.open = Evaluation(record.step, record.epoch, metrics, records)
        return self.close() if records >= self.sets else None

    def close(self) -> Evaluation | None:
        """Return the evaluation as it stands, `eval_loss` filled in."""
        if self.open is None:
            return None
        name = first_eval_loss(self.open.metrics)
        if name is None or name == "eval_loss":
            return self.open
        self.stands_in = name
        return evolve(self.open, metrics={**self.open.metrics, "eval_loss": self.open.metrics[name]})


def train_loss_of(evaluation: Evaluation, history: History) -> TrainLoss | None:
    """Return the loss in the same metrics, else the most recent finite one logged before, else None."""
    for name in ("loss", "train_loss"):
        if name in evaluation.metrics:
            return TrainLoss(evaluation.metrics[name], "same event", 0)
    recent = history["loss"].newest_finite() if "loss" in history else None
    return TrainLoss(recent[1], "recent", evaluation.step - recent[0]) if recent is not None else None
