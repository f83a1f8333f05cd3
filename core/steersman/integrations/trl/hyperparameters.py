"""What TRL adds to the hyperparameters of a Trainer: which are live, inert or unsupported, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from steersman.hyperparameters import SAFER, Entry, Hyperparameter
from steersman.integrations.trl import kl_penalty, reward_weights, temperature
from steersman.integrations.trl.generation import AtGeneration
from steersman.integrations.trl.reward_gate import gate_of

_GENERATES = {"trl.trainer.grpo_trainer", "trl.trainer.rloo_trainer"}
_PREFERS = {"trl.trainer.dpo_trainer", "trl.trainer.kto_trainer"}
_ABOVE_ZERO = {"kl_penalty", reward_weights.SHARED, "temperature"}


def entries_of(trainer: Any) -> dict[str, Entry]:
    """Return the hyperparameters of GRPO, RLOO, DPO and KTO and of what is built on them; of others, none."""
    homes = {kind.__module__ for kind in type(trainer).__mro__}
    entries: list[Entry] = []
    if homes & _GENERATES:
        entries = [*_of_generation(trainer)]
    elif homes & _PREFERS:
        inert = kl_penalty.why_inert(trainer)
        entries = [Entry("kl_penalty", kl_penalty.handle(trainer), "inert" if inert else "live", inert, safer="up")]
    return {entry.name: entry for entry in entries}


def _of_generation(trainer: Any) -> Iterator[Entry]:
    missing = kl_penalty.why_unsupported(trainer)
    yield _unsupported("kl_penalty", missing) if missing else _entry(trainer, kl_penalty.handle(trainer))
    yield from _of_reward_weights(trainer)
    missing = temperature.why_unsupported(trainer)
    yield _unsupported("temperature", missing) if missing else _entry(trainer, temperature.handle(trainer))
    gate = gate_of(trainer)
    without = "TRL has none; steersman.reward_gate(trainer) adds one"
    yield _unsupported("reward_threshold", without) if gate is None else _entry(trainer, gate.handle())


def _of_reward_weights(trainer: Any) -> Iterator[Entry]:
    cancelled = reward_weights.why_cancelled(trainer)
    multiplier, *weights = reward_weights.handles(trainer)
    yield _entry(trainer, multiplier, cancelled)
    for index, weight in enumerate(weights):
        is_cancelled = cancelled and reward_weights.is_alone(trainer, index)
        yield _entry(trainer, weight, f"no other reward function has a weight, and {cancelled}" if is_cancelled else "")


def _entry(trainer: Any, handle: Hyperparameter, inert: str = "") -> Entry:
    name = handle.name
    deferred = AtGeneration(trainer, handle, 0.0 if name in _ABOVE_ZERO else -math.inf)
    return Entry(name, deferred, "inert" if inert else "live", inert, safer=SAFER.get(name))


def _unsupported(name: str, reason: str) -> Entry:
    return Entry(name, None, "unsupported", reason, safer=SAFER[name])
