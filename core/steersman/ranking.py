"""A ranking per scorer, never mixed; which checkpoints may be best; which were saved, and are gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve

from steersman.checkpoints import Checkpoint
from steersman.decisions import Score
from steersman.requirements import Barrier, Requirement, barrier

_KEPT = 512


class Ranking:
    """Every scored checkpoint (the worst unsaved ones are forgotten beyond 1024) and where saved ones lie.

    Scores up to and with step `since` cannot be compared with those after it, and rank only while there is none after.
    `requires` is what a checkpoint must have to rank, whoever scores it; `late` are the metrics that came after the
    evaluation, by step.
    """

    def __init__(self, order: tuple[str, ...] = (), requires: tuple[Requirement, ...] = ()) -> None:
        self.order, self.requires = order, requires
        self.late: dict[int, Mapping[str, float]] = {}
        self.saved: dict[int, str] = {}
        self.since = -1
        self.averages: tuple[Checkpoint, ...] = ()
        self._checkpoints: dict[int, Checkpoint] = {}
        self._lowest_loss: Checkpoint | None = None
        self._all: tuple[Checkpoint, ...] | None = ()
        self._leader: str | None = None
        self._ranked: dict[tuple[str, bool], tuple[Checkpoint, ...]] = {}

    def _changed(self) -> None:
        self._all = self._leader = None
        self._ranked.clear()

    def restart(self, step: int) -> None:
        """Begin anew: what was scored up to `step` cannot be compared with what comes."""
        self._changed()
        self.since, self._lowest_loss = step, None

    def add(self, checkpoint: Checkpoint) -> None:
        """Add a scored checkpoint; one of the same step is replaced."""
        path = self.saved.get(checkpoint.step)
        checkpoint = evolve(checkpoint, path=path) if path else checkpoint
        if checkpoint.step in self.late:
            checkpoint = evolve(checkpoint, metrics={**checkpoint.metrics, **self.late[checkpoint.step]})
        before = self._all
        self._changed()
        if before is not None and (not before or before[-1].step < checkpoint.step):
            self._all = (*before, checkpoint)
        self._checkpoints[checkpoint.step] = checkpoint
        lowest = self._lowest_loss
        if not checkpoint.is_baseline and (
            lowest is None or lowest.step == checkpoint.step or _loss(checkpoint) < _loss(lowest)
        ):
            self._lowest_loss = checkpoint
        if len(self._checkpoints) > 2 * _KEPT:
            self._forget()

    def add_average(self, average: Checkpoint) -> None:
        """Add the scored mean of several checkpoints: it ranks with the rest, and is no evaluation of the run."""
        self._changed()
        self.averages = (*(a for a in self.averages if a.averaged != average.averaged), average)

    def at(self, step: int) -> Checkpoint | None:
        """Return the checkpoint that was evaluated at a step."""
        return self._checkpoints.get(step)

    def with_late(self, step: int, metrics: Mapping[str, float]) -> Checkpoint:
        """Return the checkpoint of `step` with metrics that came late; one never evaluated has only those."""
        known = self._checkpoints.get(step) or Checkpoint(step, None, {}, None, path=self.saved.get(step))
        return evolve(known, metrics={**known.metrics, **self.late.get(step, {}), **metrics})

    def hear_late(
        self, step: int, metrics: Mapping[str, float], scores: Mapping[str, Score] | None = None
    ) -> Checkpoint:
        """Take metrics that came after the evaluation of `step`, with the scores that are made of them."""
        heard = self.with_late(step, metrics)
        self.late[step] = {**self.late.get(step, {}), **metrics}
        given = {**heard.scores, **(scores or {})}
        names = dict.fromkeys((*self.order, *given))
        heard = evolve(heard, scores={name: given[name] for name in names if name in given})
        if step in self._checkpoints or heard.scores:
            self.add(heard)
        return heard

    def mark_saved(self, step: int, path: str) -> Checkpoint | None:
        """Note that the checkpoint of `step` was written to `path`; return it if it was evaluated."""
        self._changed()
        for other in [s for s, p in self.saved.items() if p == path and s != step]:  # it was written over
            del self.saved[other]
            if other in self._checkpoints:
                self._checkpoints[other] = evolve(self._checkpoints[other], path=None)
        self.saved[step] = path
        self.saved = {s: p for s, p in self.saved.items() if s == step or Path(p).exists()}
        checkpoint = self._checkpoints.get(step)
        if checkpoint is not None:
            checkpoint = self._checkpoints[step] = evolve(checkpoint, path=path)
        return checkpoint

    def lie_at(self, paths: Mapping[int, str]) -> None:
        """Note where the checkpoints of a run that is over lie, by step, whether or not this machine has them."""
        self._changed()
        self.saved = dict(paths)
        for step, path in paths.items():
            if step in self._checkpoints:
                self._checkpoints[step] = evolve(self._checkpoints[step], path=path)

    def there(self) -> dict[int, str]:
        """Return where the checkpoints lie that were saved and are still there, in order of step."""
        return {step: path for step, path in sorted(self.saved.items()) if Path(path).exists()}

    def all(self) -> tuple[Checkpoint, ...]:
        """Return every remembered checkpoint in order of step, the baseline included."""
        if self._all is None:
            self._all = tuple(self._checkpoints[step] for step in sorted(self._checkpoints))
        return self._all

    @property
    def leader(self) -> str | None:
        """The first scorer in config order that ever had an opinion: its ranking decides."""
        if self._leader is None:
            given = {name for c in self._checkpoints.values() for name in c.scores}
            self._leader = next((name for name in self.order if name in given), None)
        return self._leader

    def ranked(self, scorer: str | None = None, *, barred: bool = False) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of one scorer (default: the leader), best first.

        Rejected ones are left out, and, but for `barred`, those that do not meet every requirement.
        """
        name = scorer or self.leader
        if name is None:
            return ()
        if (name, barred) in self._ranked:
            return self._ranked[name, barred]
        mine = [
            c
            for c in (*self._checkpoints.values(), *self.averages)
            if name in c.scores and not c.is_baseline and math.isfinite(c.scores[name].value)
        ]
        if self.requires and not barred:
            mine = [c for c in mine if self.barrier(c) is None]
        comparable = [c for c in mine if c.step > self.since] or mine
        self._ranked[name, barred] = tuple(
            sorted(comparable, key=lambda c: (c.ranks_by(name), bool(c.averaged), c.step))
        )
        return self._ranked[name, barred]

    def barrier(self, checkpoint: Checkpoint) -> Barrier | None:
        """Return why a scored checkpoint may not be best, or None where it meets every requirement."""
        return barrier(self.requires, checkpoint.metrics)

    def standing(self, checkpoint: Checkpoint) -> float | None:
        """Return the leader's score of a checkpoint as somebody hears it who keeps a best of his own: infinity where
        it may not be best now, None where the leader has no opinion.
        """
        score = checkpoint.scores.get(self.leader or "")
        known = self.at(checkpoint.step) or checkpoint  # with what came late
        return math.inf if score and self.barrier(known) is not None else score.value if score else None

    def passed_over(self, scorer: str | None = None) -> tuple[tuple[Checkpoint, Barrier], ...]:
        """Return the checkpoints that a scorer finds better than its best and that may not be best, best first."""
        if not self.requires:
            return ()
        found: list[tuple[Checkpoint, Barrier]] = []
        for checkpoint in self.ranked(scorer, barred=True):
            why = self.barrier(checkpoint)
            if why is None:
                break
            found.append((checkpoint, why))
        return tuple(found)

    def best(
        self, scorer: str | None = None, *, where: Callable[[Checkpoint], bool] | None = None
    ) -> Checkpoint | None:
        """Return the best checkpoint of a scorer for which `where` holds."""
        return next((c for c in self.ranked(scorer) if where is None or where(c)), None)

    @property
    def lowest_loss(self) -> Checkpoint | None:
        """The checkpoint with the lowest eval loss of the run, an average too."""
        raw = self._lowest_loss
        found = [self._checkpoints.get(raw.step, raw)] if raw is not None else []
        lowest = min((*found, *self.averages), key=_loss, default=None)
        return lowest if lowest is not None and math.isfinite(_loss(lowest)) else None

    def _forget(self) -> None:
        best = _KEPT // 2 // max(len(self.order), 1)  # with the newest three quarters, so that this is done rarely
        keep = {c.step for name in self.order for c in self.ranked(name)[:best]}
        keep |= {
            c.step for name in self.order for c in (self.ranked(name, barred=True)[:best] if self.requires else ())
        }
        keep |= set(self.saved) | set(sorted(self._checkpoints)[-_KEPT:]) | {0}
        self._checkpoints = {step: c for step, c in self._checkpoints.items() if step in keep}
        self._changed()


def exists(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint was saved and its directory is still there."""
    return checkpoint.path is not None and Path(checkpoint.path).exists()


def _loss(checkpoint: Checkpoint) -> float:
    loss = checkpoint.metrics.get("eval_loss", math.inf)
    return loss if math.isfinite(loss) else math.inf
