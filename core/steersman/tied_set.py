"""The checkpoints of a run that cannot be told from its best, and how that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

from steersman.checkpoints import Checkpoint
from steersman.ranking import Ranking
from steersman.tied import DEVIATIONS, FEWEST_EVALUATIONS, noise, tied

Losses = Mapping[tuple[int, tuple[int, ...]], Sequence[float]]
"""The losses of single examples, by the key of the checkpoint."""


@frozen
class TiedSet:
    """Checkpoints tied with `best`, best first; `how` is `paired` over so many `examples`, or `unpaired`.

    Unpaired it is by the noise of the course of the scores; `steersman.tied` says what that sees.
    """

    best: Checkpoint
    checkpoints: tuple[Checkpoint, ...]
    how: Literal["paired", "unpaired"]
    examples: int = 0
    left_out: tuple[tuple[Checkpoint, int], ...] = ()
    """Those that told another number of examples than the best, and how many: they cannot be paired with it."""

    @property
    def all(self) -> tuple[Checkpoint, ...]:
        """The best and what is tied with it, in order of step; an average stands at its last step."""
        return tuple(sorted((self.best, *self.checkpoints), key=_last_step))

    def sentence(self) -> str:
        """Return what is tied, as it follows on the best; empty where nothing is."""
        others = ", ".join(f"{c.name} ({count})" for c, count in self.left_out)
        left = f"left out, for it told another number of examples than the best ({self.examples}): {others}"
        return "; ".join(part for part in (self._tied(), left if others else "") if part)

    def _tied(self) -> str:
        if not self.checkpoints:
            return ""
        raw = [str(c.step) for c in sorted(self.checkpoints, key=_last_step) if not c.averaged]
        steps = [f"step{'s' if len(raw) > 1 else ''} {', '.join(raw)}"] if raw else []
        names = ", ".join([*steps, *(c.name for c in self.checkpoints if c.averaged)])
        how = (
            f"paired over {self.examples} examples" if self.how == "paired" else "unpaired, by the noise of the scores"
        )
        return f"tied with it: {names} ({how})"


def tied_set(ranking: Ranking, losses: Losses, scorer: str | None = None) -> TiedSet | None:
    """Return what is tied with the best of a scorer, of those that may be best; None where that cannot be known.

    Paired where the losses of single examples of the best are known: whoever lacks them is not tied. Else unpaired,
    from six scores on.
    """
    ranked = ranking.ranked(scorer)
    name = scorer or ranking.leader
    if not ranked or name is None:
        return None
    best, others = ranked[0], ranked[1:]
    ours = losses.get(best.key)
    if ours is not None:
        there = {i: losses[c.key] for i, c in enumerate(others) if c.key in losses}
        found = tied(ours, there)
        if found is not None:
            unlike = tuple((others[i], len(told)) for i, told in there.items() if len(told) != len(ours))
            return TiedSet(best, tuple(others[i] for i in found), "paired", len(ours), unlike)
    raw = [c for c in ranked if not c.averaged]
    if len(raw) < FEWEST_EVALUATIONS:
        return None
    course = [c.scores[name].value for c in sorted(raw, key=lambda c: c.step)]
    limit = best.scores[name].value + DEVIATIONS * math.sqrt(2) * noise(course)
    return TiedSet(best, tuple(c for c in others if c.scores[name].value <= limit), "unpaired")


def _last_step(checkpoint: Checkpoint) -> int:
    return checkpoint.averaged[-1] if checkpoint.averaged else checkpoint.step
