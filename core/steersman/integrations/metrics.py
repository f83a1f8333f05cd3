"""What a loop logs, in the names that strategies read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import evolve

from steersman.records import Record, record_from_logs
from steersman.stages import ours

SCORE = "steersman_score"
"""The name of the score among a trainer's own metrics."""


def record_of(
    kind: Literal["train", "eval"],
    step: int,
    epoch: float | None,
    metrics: Mapping[str, Any],
    names: Mapping[str, str],
) -> Record:
    """Return the record of a training log or an evaluation.

    Words that tell the stage are taken for ours: `train_loss` is `loss`, `val_loss`, `val/loss` and `loss/val` are
    `eval_loss`; in an evaluation every name gets the prefix `eval_`. A name that `names` maps, the `metrics:` of a
    config, is left to it.
    """
    told = {name if name in names else ours(kind, name): plain(value) for name, value in metrics.items()}
    record = record_from_logs({**told, "epoch": epoch}, step=step, names=names)
    return evolve(record, kind=kind)


def plain(value: Any) -> Any:
    """Return a one-element tensor or array as the number it holds, anything else as it is."""
    try:
        return value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError):
        return value
