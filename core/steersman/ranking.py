"""A ranking per scorer, never mixed; and which checkpoints were evaluated, saved, and are gone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from steersman.checkpoints import Checkpoint

_KEPT = 512


class Ranking:
    """Every scored checkpoint (the worst unsaved ones are forgotten beyond 1024) and where saved ones lie.

    Scores up to and with step `since` cannot be compared with those after it, and rank only while there is none after.
    """

    def __init__(self, order: tuple[str, ...] = ()) -> None:
        self.order = order
        self.saved: dict[int, str] = {}
        self.since = -1
        self._checkpoints: dict[int, Checkpoint] = {}
        self._lowest_loss: Checkpoint | None = None
        self._all: tuple[Checkpoint, ...] | None = ()
        self._leader: str | None = None
        self._ranked: dict[str, tuple[Checkpoint, ...]] = {}

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

    def ranked(self, scorer: str | None = None) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of one scorer (default: the leader), best first; rejected ones are left out."""
        name = scorer or self.leader
        if name is None:
            return ()
        if name in self._ranked:
            return self._ranked[name]
        mine = [
            c
            for c in self._checkpoints.values()
            if name in c.scores and not c.is_baseline and math.isfinite(c.scores[name].value)
        ]
        comparable = [c for c in mine if c.step > self.since] or mine
        self._ranked[name] = tuple(sorted(comparable, key=lambda c: (c.scores[name].value, c.step)))
        return self._ranked[name]

    def best(
        self, scorer: str | None = None, *, where: Callable[[Checkpoint], bool] | None = None
    ) -> Checkpoint | None:
        """Return the best checkpoint of a scorer for which `where` holds."""
        return next((c for c in self.ranked(scorer) if where is None or where(c)), None)

    @property
    def lowest_loss(self) -> Checkpoint | None:
        """The checkpoint with the lowest eval loss of the run."""
        lowest = self._lowest_loss
        if lowest is None or not math.isfinite(_loss(lowest)):
            return None
        return self._checkpoints.get(lowest.step, lowest)

    def _forget(self) -> None:
        best = _KEPT // 2 // max(len(self.order), 1)  # with the newest three quarters, so that this is done rarely
        keep = {c.step for name in self.order for c in self.ranked(name)[:best]}
        keep |= set(self.saved) | set(sorted(self._checkpoints)[-_KEPT:]) | {0}
        self._checkpoints = {step: c for step, c in self._checkpoints.items() if step in keep}
        self._changed()


def exists(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint was saved and its directory is still there."""
    return checkpoint.path is not None and Path(checkpoint.path).exists()


def _loss(checkpoint: Checkpoint) -> float:
    loss = checkpoint.metrics.get("eval_loss", math.inf)
    return loss if math.isfinite(loss) else math.inf
