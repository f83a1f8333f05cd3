"""What every reader makes of a finished run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from steersman.control import Said
from steersman.hyperparameters import Safer
from steersman.journal import JournalEntry
from steersman.late.entries import LateScore
from steersman.records import Record
from steersman.schedule import RunPlan
from steersman.tables import Records


class UnreadableRun(Exception):
    """A run cannot be read; the message names the path and the reason."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")

    @classmethod
    def of(cls, path: Path, failures: Sequence[UnreadableRun], otherwise: str = "") -> UnreadableRun:
        """Return the only failure of a run's sources, or one that tells them all; `otherwise` where there is none."""
        return failures[0] if len(failures) == 1 else cls(path, "; ".join(map(str, failures)) or otherwise)


@frozen
class Resumed:
    """A run went on from the checkpoint of `step`, where it had used so many `rollbacks`.

    `is_other` is whether its config or what its scores depend on was changed. `accounting` is what its ledgers held;
    None where the journal does not tell.
    """

    step: int
    rollbacks: int
    is_other: bool
    accounting: Mapping[str, Any] | None = None


@frozen
class Recording:
    """A finished run. `values` are hyperparameters known at its begin; `saved` its checkpoint directories by step.

    `supervised` is whether Steersman was attached: then the logged learning rate already holds its changes, and
    `values` names every hyperparameter the run had. `config` is the config it was supervised with, and
    `values_at` holds the values in force before each check by step, where they are known, `said` what a person said,
    `late_heard` the late scores that each check heard, by its step and reason, `late_left` those that none did,
    and `effects` the steps at which a changed value that had to wait came into force. `facts` are what its scores
    depend on besides the model. `decisions` are its journal's own lines, where there is one; `safer` tells
    which way a hyperparameter is, `failed` at which step one could not be written. `resumes` are the times it was
    resumed. `was_cut` is whether a supervised run has no end: it was killed, or goes on. `notes` are sentences about
    the reading: what could not be read and was passed over, lines and values that were left out.
    """

    path: Path
    format: str
    records: Sequence[Record]
    plan: RunPlan
    values: Mapping[str, float] = field(factory=dict[str, float])
    saved: Mapping[int, str] = field(factory=dict[int, str])
    supervised: bool = False
    config: Mapping[str, Any] | None = None
    config_folder: Path | None = None
    values_at: Mapping[int, Mapping[str, float]] = field(factory=dict[int, Mapping[str, float]])
    said: Mapping[int, Said] = field(factory=dict[int, Said])
    effects: Mapping[str, tuple[int, ...]] = field(factory=dict[str, tuple[int, ...]])
    late_heard: Mapping[tuple[int, str], tuple[LateScore, ...]] = field(
        factory=dict[tuple[int, str], "tuple[LateScore, ...]"]
    )
    late_left: tuple[LateScore, ...] = ()
    facts: Mapping[str, object] = field(factory=dict[str, object])
    decisions: tuple[JournalEntry, ...] = ()
    safer: Mapping[str, Safer] = field(factory=dict[str, Safer])
    failed: Mapping[str, int] = field(factory=dict[str, int])
    resumes: tuple[Resumed, ...] = ()
    was_cut: bool = False
    notes: tuple[str, ...] = ()


def plan_of(records: Sequence[Record], total_steps: int | None) -> RunPlan:
    """Return the plan that a run's records tell: whether it evaluates, and with how many sets."""
    sets_at: dict[int, set[frozenset[str]]] = {}
    for step, names in _evaluations(records):
        sets_at.setdefault(step, set()).add(names)
    total = total_steps or _last_step(records) or None
    evaluates = any(step > 0 for step in sets_at)
    return RunPlan(total, evaluates, max((len(sets) for sets in sets_at.values()), default=1))


def _evaluations(records: Sequence[Record]) -> Iterator[tuple[int, frozenset[str]]]:
    if not isinstance(records, Records):
        yield from ((record.step, frozenset(record.metrics)) for record in records if record.kind == "eval")
        return
    for table, start, stop in records.blocks:
        if table.kind == "eval":
            yield from zip(table.steps[start:stop], itertools.repeat(table.metrics))


def _last_step(records: Sequence[Record]) -> int:
    if isinstance(records, Records):
        return max((max(table.steps[start:stop]) for table, start, stop in records.blocks), default=0)
    return max((record.step for record in records), default=0)
