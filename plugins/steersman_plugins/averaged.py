"""`averaged`: the means of neighbouring checkpoints as further candidates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from attrs import Attribute, define, field

from steersman import Average, Checkpoint, Run, hookimpl


def _can_be_averaged(_: object, attribute: Attribute[tuple[int, ...]], value: tuple[int, ...]) -> None:
    if wrong := [size for size in value if size < 2]:
        raise ValueError(f"`{attribute.name}` must be 2 or more checkpoints each, got {wrong[0]}")


def _at_least_one(_: object, attribute: Attribute[int], value: int) -> None:
    if value < 1:
        raise ValueError(f"`{attribute.name}` must be at least 1, got {value}")


def _at_least_none(_: object, attribute: Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"`{attribute.name}` must be 0 or more standard errors, got {value}")


@define(eq=False)
class Averaged:
    """Propose the mean of the weights of neighbouring checkpoints, around each of the best ones.

    Neighbours are checkpoints that were saved and evaluated, with a finite score of the run's own ranking, in order of
    step. A window lies around its centre, or at an end of the run beside it. Averaging weights along one trajectory is
    stochastic weight averaging (Izmailov et al. 2018, arXiv:1803.05407) and LAWA (Kaddour 2022, arXiv:2209.14981).
    """

    sizes: tuple[int, ...] = field(default=(3, 5), validator=_can_be_averaged)
    """How many neighbouring checkpoints an average is made of: one average of each size around each centre."""
    around: int = field(default=2, validator=_at_least_one)
    """How many of the best checkpoints are centres. Each average costs one evaluation."""
    leeway: float = field(default=0.25, validator=_at_least_none)
    """How many standard errors above the lowest eval loss, paired by example, an average may be and still be best.

    It needs the losses of single examples: where none are known, an average must have the lowest.
    """

    @hookimpl
    def propose_averages(self, run: Run) -> list[Average]:
        saved = run.saved
        neighbours = [c.step for c in run.checkpoints if c.step in saved and _is_sound(c)]
        centres = [c.step for c in run.ranked if c.step in neighbours][: self.around]
        return [Average(window, self.leeway) for window in windows(neighbours, centres, self.sizes)]


def windows(steps: Sequence[int], centres: Sequence[int], sizes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield each window of `sizes` neighbours among `steps` around each centre, once; the best centre's first.

    `steps` are in order. There is none of a size that the run has not.
    """
    seen: set[tuple[int, ...]] = set()
    for centre in centres:
        for size in sizes:
            first = min(max(steps.index(centre) - size // 2, 0), len(steps) - size)
            window = tuple(steps[first : first + size]) if first >= 0 else ()
            if window and window not in seen:
                seen.add(window)
                yield window


def _is_sound(checkpoint: Checkpoint) -> bool:
    score = checkpoint.score
    return score is not None and math.isfinite(score.value) and not checkpoint.is_baseline
