"""What every integration makes of a trainer's event, and how a trainer's names become ours."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

Kind = Literal["train", "eval", "summary"]

_OWN_PREFIX = "steersman"
NOT_METRICS = frozenset({"step", "epoch"})
"""What a log tells of itself beside its metrics."""


@frozen
class Usage:
    """What one ledger took since the last record, over all ranks.

    `tokens` are those generated; trained on, without padding; or sent to the teacher. `seconds` is the time they took
    by the clock: calls to a teacher that overlap count once. `samples` are sequences, or calls that were answered.

    Of backpropagation alone: `input_tokens` with padding, `loss_tokens` that bear loss. Of a teacher alone: tokens
    `received`, `cached_tokens` (those of `tokens` that its provider had in a cache), `retries` and `errors` of calls,
    `cache_hits` (answers that needed no call), and three sketches over single calls (see
    `steersman.accounting.sketch`): `rates` (tokens sent per second), `received_rates`, and `latencies` in seconds.
    `unknown` counts batches or answers whose tokens are not known. `epoch`, from 1, is the one it was taken in, None
    where that is not known.
    """

    ledger: Literal["generation", "backpropagation", "teacher"]
    tokens: int = 0
    seconds: float = 0.0
    samples: int = 0
    received: int = 0
    input_tokens: int = 0
    loss_tokens: int = 0
    cached_tokens: int = 0
    retries: int = 0
    errors: int = 0
    cache_hits: int = 0
    unknown: int = 0
    rates: Mapping[str, int] = field(factory=dict[str, int])
    received_rates: Mapping[str, int] = field(factory=dict[str, int])
    latencies: Mapping[str, int] = field(factory=dict[str, int])
    epoch: int | None = None


@frozen
class Record:
    """One thing the trainer logged.

    `step` counts optimizer steps finished; `epoch` is fractional; `elapsed` is seconds of training so far, over
    resumes, and None where the log has no time. `metrics` holds numbers only, NaN and infinity included;
    `dropped` names what was logged and is no number. `spent` is seconds since the last record that went into
    something else than training: `evaluation`, `checkpointing`; and of a run that was resumed `redone` and `down`.
    """

    step: int
    kind: Kind
    metrics: Mapping[str, float] = field(factory=dict[str, float])
    epoch: float | None = None
    elapsed: float | None = None
    usage: tuple[Usage, ...] = ()
    dropped: tuple[str, ...] = ()
    spent: Mapping[str, float] = field(factory=dict[str, float])


def number(value: object) -> float | None:
    """Return `value` as a float, or None where it is no plain number (None, True, text, a list, a tensor)."""
    if type(value) is float:
        return value
    if type(value) is not bool and isinstance(value, numbers.Real):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value == abs(value) else float("-inf")
    return None


def is_own(name: str) -> bool:
    """Whether Steersman itself put this key into the trainer's log."""
    return name.removeprefix("eval_").startswith(_OWN_PREFIX)


def kind_of(names: Mapping[str, object]) -> Kind:
    """Return what a log dictionary is: a final summary, an evaluation, or a training log."""
    if "train_runtime" in names:
        return "summary"
    return "eval" if any(name.startswith("eval_") for name in names) else "train"


def is_other_evaluation(names: Mapping[str, object]) -> bool:
    """Whether a log is an evaluation under a prefix of its own (`metric_key_prefix="test"`): no part of training."""
    ends = "_samples_per_second"
    prefixes = [name.removesuffix(ends) for name in names if name.endswith(ends)]
    return "loss" not in names and any(p not in ("train", "eval") and not p.startswith("eval_") for p in prefixes)


def record_from_logs(
    logs: Mapping[str, object],
    *,
    step: int,
    elapsed: float | None = None,
    usage: tuple[Usage, ...] = (),
    names: Mapping[str, str] | None = None,
) -> Record:
    """Return the record of one log dictionary in the spelling of the Hugging Face Trainer.

    `names` maps a user's metric names onto ours; our own keys are dropped, so that a log we wrote into is read
    back as the trainer wrote it.
    """
    metrics: dict[str, float] = {}
    dropped: list[str] = []
    for name, value in logs.items():
        if name in NOT_METRICS or is_own(name):
            continue
        name = names.get(name, name) if names else name
        as_number = number(value)
        if as_number is None:
            dropped.append(name)
        else:
            metrics[name] = as_number
    kind = kind_of({**metrics, **dict.fromkeys(dropped)})
    return Record(step, kind, metrics, number(logs.get("epoch")), elapsed, usage, tuple(dropped))
