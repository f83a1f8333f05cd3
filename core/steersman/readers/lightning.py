"""Lightning's `metrics.csv`: steps from zero, and the names that Lightning's integration hears live."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from attrs import evolve

from steersman.readers import layouts
from steersman.readers.layouts import Layout, Part
from steersman.readers.names import is_rate
from steersman.records import Record
from steersman.stages import ours


def layout_of(keys: tuple[str, ...], own: Mapping[str, str] | None = None) -> Layout:
    """Return the layout of a row: in an evaluation every name has the prefix `eval_`, as a live run hears it."""
    layout = layouts.layout_of(keys, own)
    layout.parts = tuple(_heard(part, own or {}) for part in layout.parts)
    layout.from_zero = True
    return layout


def _heard(part: Part, own: Mapping[str, str]) -> Part:
    if part.stage not in ("train", "eval"):
        return part
    found: dict[str, str] = {}
    for key in part.keys:
        name = own[key] if key in own else ours(part.stage, key)
        if name == "loss_step" and "train_loss" not in part.keys:
            name = "loss"
        elif is_rate(name):
            name = "learning_rate"
        found[key] = key if name in found.values() else name
    return evolve(part, names=tuple(found.values()))


def with_epochs(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the records with the part of the epoch that is over, where all epochs are seen to be of one length.

    Lightning writes the epoch it is in. Two epochs that end at the steps N and 2N tell that each has N steps.
    """
    ends: dict[int, int] = {}
    for record in records:
        if record.epoch is not None and math.isfinite(record.epoch):
            ends[int(record.epoch)] = max(record.step, ends.get(int(record.epoch), 0))
    whole = sorted(ends)[:-1]
    length = ends[0] if 0 in ends else 0
    is_even = len(whole) > 1 and all(ends[epoch] == (epoch + 1) * length for epoch in whole)
    if not length or not is_even or ends[max(ends)] > (max(ends) + 1) * length:
        return tuple(records)
    return tuple(evolve(record, epoch=record.step / length) for record in records)
