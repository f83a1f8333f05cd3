"""NaN and infinity in what was logged: critical in loss and gradient norm, a warning in the eval loss."""

from __future__ import annotations

from collections.abc import Iterator

from steersman import Window
from steersman.decisions import Severity
from steersman_plugins.seed_rules import Fired


def non_finite(window: Window) -> Iterator[Fired]:
    """Yield each watched metric that was NaN or infinite in the window, without a proposal.

    The Trainer's filter hides a NaN loss as 0.0; the gradient norm beside it tells.
    """
    if not window.nonfinite:
        return
    for name in ("loss", "grad_norm", "eval_loss"):
        count = window.nonfinite.get(name)
        if not count:
            continue
        message = f"{name} was NaN or infinite in {count} of {window.logs} logs"
        if name == "grad_norm" and window.mean("loss") == 0.0:
            message += "; the logged loss of 0.0 is the trainer's NaN filter, not a loss"
        evidence: dict[str, float | None] = {"nonfinite_logs": count, "logs": window.logs, "loss": window.mean("loss")}
        severity: Severity = "warning" if name == "eval_loss" else "critical"
        yield Fired(f"non-finite-{name.replace('_', '-')}", message, evidence, (), severity)
