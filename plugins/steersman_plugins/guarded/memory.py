"""What the policy remembers from check to check: plain values, saved with a checkpoint."""

from __future__ import annotations

from typing import Any, Literal

import cattrs
from attrs import asdict, define, field

Trying = Literal["floor", "slow"]


@define
class Cut:
    """A rollback's cut of the learning rate: by what, at which evaluation, after how many that were well."""

    factor: float
    at: int
    was_well: int


@define
class Trial:
    """Another learning rate that is tried: of which kind, by what, from which evaluation on, and how it was before.

    `lowest` is the lowest eval loss before, `fall` how much it fell an evaluation. It `follows` one that helped.
    """

    kind: Trying
    factor: float
    at: int
    lowest: float
    fall: float
    follows: bool = False


@define
class Memory:
    """The evaluations so far and what was done about them."""

    evaluations: int = 0
    start: float | None = None
    lowest: float | None = None
    first: float | None = None
    """The first eval loss."""
    undone: list[list[int]] = field(factory=list[list[int]])
    overfits: int = 0
    well: int = 0
    """Evaluations in a row that were well, up to the newest; `was_well` are those before it."""
    was_well: int = 0
    may_restore: bool = False
    """Whether the cut of the newest rollback is taken back once the run is well again."""
    cut: Cut | None = None
    trial: Trial | None = None
    raised: Trial | None = None
    """The newest trial of a higher rate that was kept."""
    rolled_back_at: int = -1000
    changed_at: int = 0
    """The evaluation of the newest change of the learning rate, whoever made it."""
    highest: float | None = None
    """The highest learning rate since the newest change, to see whether the schedule lowers it."""
    rest_until: int = 0
    failed: int = 0
    sick: int = 0
    """How often in a row the gradients showed what no learning rate mends."""

    def saved(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def remembered(saved: dict[str, Any]) -> Memory:
    """Return what `Memory.saved` told; nothing is a run that begins."""
    return cattrs.structure(saved, Memory) if saved else Memory()
