"""What is said of a track and of the counts: each a function from values to findings."""

from __future__ import annotations

from collections.abc import Iterator

from steersman import Finding
from steersman_divergence.broken import Counts
from steersman_divergence.hampel import Track


def of_counts(counts: Counts, zeros_in_a_row: int | None) -> Iterator[Finding]:
    """Yield what is not finite, or hides it; `zeros_in_a_row` is how many zeros are no chance, None to leave it out.

    One gradient that is not finite is a warning: loss scaling in half precision skips such a step and goes on
    (Micikevicius et al. 2018, Mixed precision training). Two in a row are critical.
    """
    logs: dict[str, float | str | None] = {"logs": counts.logs}
    if counts.loss:
        message = f"the loss was NaN or infinite in {counts.loss} of {counts.logs} logs"
        yield Finding("non-finite-loss", message, "critical", {"non_finite": counts.loss, **logs})
    if counts.masked:
        message = (
            f"the gradient norm was NaN or infinite and the loss exactly 0.0 in {counts.masked} of {counts.logs} logs: "
            "the zero is the trainer's NaN filter, not a loss"
        )
        yield Finding("masked-nan", message, "critical", {"masked": counts.masked, **logs})
    elif counts.gradient:
        message = f"the gradient norm was NaN or infinite in {counts.gradient} of {counts.logs} logs"
        in_a_row = counts.most_gradients_in_a_row
        evidence = {"non_finite": counts.gradient, "in_a_row": in_a_row, **logs}
        yield Finding("non-finite-gradient", message, "critical" if in_a_row > 1 else "warning", evidence)
    if zeros_in_a_row is not None and counts.zeros and counts.zeros_in_a_row >= zeros_in_a_row:
        message = (
            f"the loss fell from {counts.last_loss:.4g} to exactly 0.0 and stayed there for {counts.zeros_in_a_row} "
            "logs: a trainer that filters NaN logs this of a dead run"
        )
        evidence = {"before": counts.last_loss, "zeros_in_a_row": counts.zeros_in_a_row, **logs}
        yield Finding("zero-loss", message, "warning", evidence)
    if counts.eval_loss:
        message = "the eval loss was NaN or infinite"
        yield Finding("non-finite-eval-loss", message, "warning", {"non_finite": counts.eval_loss})


def of_losses(track: Track) -> Iterator[Finding]:
    """Yield a divergence, or else the spikes since the last check."""
    worst = track.worst
    if worst is None:
        return
    evidence: dict[str, float | str | None] = {
        "step": worst.step, "loss": worst.value, "level": worst.level, "limit": worst.limit, "outliers": track.spikes,
    }  # fmt: skip
    where = f"{worst.value:.4g} at step {worst.step}; the level is {worst.level:.4g}, the limit {worst.limit:.4g}"
    if track.diverged_at is not None:
        message = f"the loss has left its level at step {track.diverged_at} and not come back: up to {where}"
        yield Finding("loss-diverged", message, "critical", {"since": track.diverged_at, **evidence})
    else:
        yield Finding("loss-spike", f"the loss spiked: {where}", "warning", evidence)


def of_gradients(track: Track) -> Iterator[Finding]:
    """Yield an explosion, or else the spikes since the last check; the track holds logarithms to the base 10."""
    worst = track.worst
    if worst is None:
        return
    norm, level, limit = (10 ** min(value, 308.0) for value in (worst.value, worst.level, worst.limit))
    evidence: dict[str, float | str | None] = {
        "step": worst.step, "grad_norm": norm, "level": level, "limit": limit, "outliers": track.spikes,
    }  # fmt: skip
    where = f"{norm:.4g} at step {worst.step}; the level is {level:.4g}, the limit {limit:.4g}"
    if track.diverged_at is not None:
        message = f"gradients have exploded since step {track.diverged_at}: a norm of up to {where}"
        yield Finding("gradient-explosion", message, "critical", {"since": track.diverged_at, **evidence})
    else:
        yield Finding("gradient-spike", f"the gradient norm spiked: {where}", "warning", evidence)
