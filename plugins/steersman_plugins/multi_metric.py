"""`multi-metric`: eval loss, overfitting gap, perplexity and an improvement bonus, weighted."""

from __future__ import annotations

import math
from typing import Literal

from attrs import define

from steersman import Checkpoint, Run, Score, hookimpl

_PERPLEXITY_CEILING = 20.0


def terms(eval_loss: float, train_loss: float | None, stale_evaluations: int | None) -> dict[str, float]:
    """Return the unweighted terms; lower is better in each.

    `train_loss` None is unknown: no gap. `stale_evaluations` counts the evaluations without improvement, None unknown.
    The gap is relative to the eval loss; the perplexity term is exp(eval loss) / 20, at most 1.
    """
    known = train_loss is not None and math.isfinite(train_loss)
    gap = abs(train_loss - eval_loss) / max(eval_loss, 0.001) if known and train_loss is not None else 0.0
    capped = eval_loss >= math.log(_PERPLEXITY_CEILING)
    return {
        "eval_loss": eval_loss,
        "gap": gap,
        "perplexity": 1.0 if capped else math.exp(eval_loss) / _PERPLEXITY_CEILING,
        "improvement": -1.0 if stale_evaluations == 0 else 0.0,
    }


@define(eq=False)
class MultiMetric:
    """Score a checkpoint by eval loss, overfitting gap, perplexity and an improvement bonus (lower is better).

    `improvement` says what an evaluation must beat to earn the bonus: the `previous` one or the `best` so far.
    Where there is no finite eval loss, or a loss so large that the terms are not finite, it has no opinion.
    """

    eval_loss_weight: float = 0.5
    """Weight of the eval loss itself; half of the whole, as what is asked about is held-out loss."""
    gap_weight: float = 0.3
    """Weight of abs(train - eval) / eval; it favours early checkpoints, and 0 leaves overfitting out of the score."""
    perplexity_weight: float = 0.1
    """Weight of exp(eval loss) / 20, at most 1; small, because it says again what the eval loss says."""
    improvement_weight: float = 0.1
    """What an evaluation that beats the one it must beat is better by, in units of the score."""
    improvement: Literal["previous", "best"] = "previous"
    """What must be beaten for that bonus: the `previous` evaluation, as in the origin, or the `best` so far."""

    def __attrs_post_init__(self) -> None:
        for name in ("eval_loss_weight", "gap_weight", "perplexity_weight", "improvement_weight"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name}: a weight must be a finite number, got {getattr(self, name)}")

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        loss = checkpoint.metrics.get("eval_loss", math.nan)
        if not math.isfinite(loss):
            return None
        train = checkpoint.train_loss.value if checkpoint.train_loss else None
        of = terms(loss, train, 0 if self._improves(run, checkpoint.step, loss) else 1)
        weighted = {
            "eval_loss": self.eval_loss_weight * of["eval_loss"],
            "gap": self.gap_weight * of["gap"],
            "perplexity": self.perplexity_weight * of["perplexity"],
            "improvement": self.improvement_weight * of["improvement"],
        }
        total = sum(weighted.values())
        return Score(total, weighted) if math.isfinite(total) else None

    def _improves(self, run: Run, step: int, loss: float) -> bool:
        """Whether an eval loss beats the one before `step`, or every one: the first does."""
        for earlier in reversed(run.checkpoints):
            beaten = earlier.metrics.get("eval_loss", math.nan)
            if earlier.step < step and math.isfinite(beaten):
                if not loss < beaten:
                    return False
                if self.improvement == "previous":
                    break
        return True
