"""Ultralytics' `results.csv`: an epoch is the step; the loss is the sum of its parts, as it is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from steersman.readers import layouts
from steersman.readers.layouts import Layout
from steersman.records import Record


def layout_of(keys: tuple[str, ...], own: Mapping[str, str] | None = None) -> Layout:
    """Return the layout of a row, in which `time` is that of the training so far."""
    return evolve(layouts.layout_of(keys, own), elapsed="time" if "time" in keys else None)


def with_losses(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the records with `loss` and `eval_loss`, where only parts such as `box_loss` were logged."""
    return tuple(evolve(record, metrics=_with_loss(record.metrics, record.kind == "eval")) for record in records)


def _with_loss(metrics: Mapping[str, float], is_eval: bool) -> Mapping[str, float]:
    prefix = "eval_" if is_eval else ""
    parts = [value for name, value in metrics.items() if name.startswith(prefix) and name.endswith("_loss")]
    return {f"{prefix}loss": sum(parts), **metrics} if parts and f"{prefix}loss" not in metrics else metrics
