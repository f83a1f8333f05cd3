"""What needs no statistics: values that are not finite, and the zero that hides them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import evolve, frozen

POLICY_GRADIENT_KEYS = frozenset(
    {"frac_reward_zero_std", "completion_length", "completions/mean_length", "clip_ratio", "clip_ratio/region_mean"}
)
"""Keys that only trainers log whose loss is about 0 by construction (GRPO, RLOO), beside `reward`."""
SHARE_OF_FIRST = 0.1
"""A loss below this share of the first one may become 0 by training and rounding, one above it may not."""


@frozen
class Counts:
    """How many logs since the last check were broken, in which way, and what was in a row up to the newest."""

    logs: int = 0
    loss: int = 0
    eval_loss: int = 0
    gradient: int = 0
    masked: int = 0
    zeros: int = 0
    gradients_in_a_row: int = 0
    most_gradients_in_a_row: int = 0
    zeros_in_a_row: int = 0
    first_loss: float | None = None
    last_loss: float | None = None

    def looked_at(self) -> Counts:
        """Return the counts after a check: what is in a row goes on, the rest begins anew."""
        return Counts(
            gradients_in_a_row=self.gradients_in_a_row,
            zeros_in_a_row=self.zeros_in_a_row,
            first_loss=self.first_loss,
            last_loss=self.last_loss,
        )


def is_policy_gradient(metrics: Mapping[str, float]) -> bool:
    """Whether a log is one of a policy-gradient trainer."""
    return "reward" in metrics and not POLICY_GRADIENT_KEYS.isdisjoint(metrics)


def hear(counts: Counts, metrics: Mapping[str, float]) -> Counts:
    """Return the counts with one more training log.

    The Hugging Face Trainer leaves a NaN loss out of the mean it logs, so a dead run logs 0.0. The gradient norm
    beside it is NaN. Where none is logged, a loss that falls to exactly 0.0 from far above it is all there is to see.
    """
    loss, norm = metrics.get("loss"), metrics.get("grad_norm")
    if norm is not None:
        sick = not math.isfinite(norm)
        in_a_row = counts.gradients_in_a_row + 1 if sick else 0
        counts = evolve(
            counts,
            gradient=counts.gradient + sick,
            masked=counts.masked + (sick and loss == 0),
            gradients_in_a_row=in_a_row,
            most_gradients_in_a_row=max(counts.most_gradients_in_a_row, in_a_row),
        )
    counts = evolve(counts, logs=counts.logs + 1)
    if loss is None:
        return counts
    if not math.isfinite(loss):
        return evolve(counts, loss=counts.loss + 1, zeros_in_a_row=0)
    if loss != 0:
        first = loss if counts.first_loss is None else counts.first_loss
        return evolve(counts, first_loss=first, last_loss=loss, zeros_in_a_row=0)
    fell = abs(counts.last_loss or 0.0) > SHARE_OF_FIRST * abs(counts.first_loss or 0.0)
    if norm is not None or not fell:
        return evolve(counts, zeros_in_a_row=0)
    return evolve(counts, zeros=counts.zeros + 1, zeros_in_a_row=counts.zeros_in_a_row + 1)
