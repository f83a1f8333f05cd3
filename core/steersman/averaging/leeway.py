"""How much worse than the best checkpoint an average may measure and still be preferred."""

from __future__ import annotations

from collections.abc import Sequence

from steersman.tied import paired


def allowance(leeway: float, best: Sequence[float], average: Sequence[float]) -> float:
    """Return how far the eval loss of an average may lie above that of the best checkpoint: `leeway` standard errors.

    `best` and `average` are the losses of the same examples in the same order; the error is that of the mean of their
    differences. Averaging seldom harms, so a loss that is higher by less than chance explains is no reason to forgo it.
    0 where the losses of fewer than eight examples are known: then an average must be lower.
    """
    found = paired(best, average) if leeway else None
    return leeway * found.error if found is not None else 0.0
