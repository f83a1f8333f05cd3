"""How often the checkpoints that cannot be told from the best hold the one that truly is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

import numpy as np
from attrs import frozen

from steersman.tied import tied
from steersman_bench.select.candidates import RAW
from steersman_bench.select.curves import Curves
from steersman_bench.select.regrets import lowest, regret


@frozen
class TiedSets:
    """Over all runs at one validation size: how many in a hundred tied sets hold the checkpoint with the lowest test
    loss, of how many checkpoints such a set is, and the mean regret of the latest and of the earliest of it.
    """

    size: int
    covers: float
    checkpoints: float
    latest_regret: float
    earliest_regret: float


def tied_sets(runs: Sequence[Curves], sizes: Sequence[int]) -> Iterator[TiedSets]:
    """Yield what the tied sets come to at each validation size."""
    for size in sizes:
        sets = [tied_set(run, size) for run in runs]
        held = [1 + int(np.argmin(run.test[1:RAW])) in found for run, found in zip(runs, sets, strict=True)]
        latest = [regret(run, found[-1]) for run, found in zip(runs, sets, strict=True)]
        earliest = [regret(run, found[0]) for run, found in zip(runs, sets, strict=True)]
        yield TiedSets(size, 100 * fmean(held), fmean(len(found) for found in sets), fmean(latest), fmean(earliest))


def tied_set(run: Curves, size: int) -> tuple[int, ...]:
    """Return the checkpoint with the lowest eval loss and those tied with it, in order, paired by example."""
    best = lowest(run, size)
    losses = run.losses[:, run.subset(size)].astype(np.float64)
    others = {at: losses[at].tolist() for at in range(1, RAW) if at != best}
    return tuple(sorted((best, *(tied(losses[best].tolist(), others) or ()))))
