"""Generates runs as trainers log them at their worst: what is missing, not finite, out of place or not there at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from hypothesis import strategies as st

from steersman.records import Kind, Record, Usage

FLOAT32 = 3.4e38
"""As large as a metric gets that was computed in 32 bits, or in bfloat16."""
FINITE = (2.0, 1.5, 0.7, 0.3, 1.0, 2.5, 4.0, 0.0, -1.0, -3.5, 1e-30, 1e30, -1e30, FLOAT32)
NOT_FINITE = (math.nan, math.inf, -math.inf)
_SHAPES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("train", ("loss", "grad_norm", "learning_rate")),
    ("eval", ("eval_loss", "eval_accuracy")),
    ("train", ("loss", "reward", "reward_std", "kl", "entropy")),
    ("eval", ("eval_loss", "eval_reward", "eval_rewards/accuracies")),
    ("train", ("reward", "kl", "rewards/accuracies", "completions/mean_length", "num_tokens")),
    ("eval", ("eval_chat_loss", "eval_chat_runtime")),
    ("train", ("loss",)),
    ("eval", ("eval_loss",)),
    ("train", ("grad_norm",)),
    ("eval", ("eval_accuracy",)),
    ("train", ()),
    ("eval", ()),
)
_USAGES: tuple[tuple[Usage, ...], ...] = (
    (),
    (),
    (Usage("generation", 4096, 8.0, 8),),
    (Usage("teacher", 1, 0.0, 0, 64), Usage("backpropagation", 0, 0.25)),
)
_LENGTHS = (0, 1, 2, 4, 8, 16, 24, 8, 16, 24, 16, 24)  # a smallest example has the first that will do
_JUMPS = (5, 0, 1, 5, 10, 500)


class Logged(list[Record]):
    """The records of a run; a falsifying example shows each in a line."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        for record in self:
            printer.text(f"\n      step {record.step} (epoch {record.epoch}) {record.kind} {dict(record.metrics)}")


@st.composite
def runs(draw: st.DrawFn, *, finite: bool = False) -> Logged:
    """Return a run, its records in the order in which they were logged.

    Logs come before and after evaluations, with any of their metrics missing, huge (as 32 bits go), zero or negative,
    and NaN or infinite unless `finite`; steps repeat and jump; there may be no epochs, no time, no record at all.
    """
    value = st.sampled_from(FINITE if finite else (*FINITE, *NOT_FINITE))
    moves = st.tuples(st.sampled_from(_SHAPES), st.sampled_from(_JUMPS), st.tuples(value, value, value))
    length = draw(st.sampled_from(_LENGTHS))
    per_epoch, seconds = draw(st.sampled_from((10, None, 4))), draw(st.sampled_from((None, 0.5)))
    usage, ends = draw(st.sampled_from(_USAGES)), draw(st.booleans())
    step, records = draw(st.sampled_from((0, 5))), Logged()
    for (kind, names), jump, values in draw(st.lists(moves, min_size=length, max_size=length)):
        step += jump
        metrics = dict(zip(names, cycle(values), strict=False))
        epoch = None if per_epoch is None else step / per_epoch
        elapsed = None if seconds is None else step * seconds
        records.append(Record(step, kind, metrics, epoch, elapsed, usage if kind == "train" else ()))
    if ends and records:
        records.append(Record(step, "summary", {"train_runtime": 12.0, "train_loss": 1.5}))
    return records


def evaluated(records: Sequence[Record]) -> int:
    """Return how many steps of a run were evaluated."""
    return len({record.step for record in records if record.kind == "eval"})
