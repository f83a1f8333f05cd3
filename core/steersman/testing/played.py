"""What strategies said of a run and what came of it, as values to compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
from attrs import field, frozen

from steersman.checkpoints import Checkpoint
from steersman.decisions import Average, Severity
from steersman.journal import JournalEntry
from steersman.run import Adjustment


@frozen
class Found:
    """A finding: who noticed what at which step, with the figures that show it."""

    step: int
    strategy: str
    name: str
    severity: Severity
    message: str
    evidence: Mapping[str, float | str | None]


@frozen
class Proposed:
    """A proposal with what became of it. `hyperparameter` and `change` are empty where it is no change of a value.

    `change` is in words, such as `x0.8` or `+0.02`. `verdict` is the arbiter's: `applied`, `advised`, `refused` ...
    for a change, `accepted` ... for a stop or a save. `at_least` and `at_most` are the proposal's own bounds, None
    where it has none.
    """

    step: int
    strategy: str
    action: Literal["adjust", "stop", "save", "rollback"]
    hyperparameter: str
    change: str
    because: str
    verdict: str
    reason: str
    at_least: float | None = None
    at_most: float | None = None


@frozen
class Played:
    """What strategies said of a run.

    `scores` are those of the first scorer with an opinion, by step: lower is better, rejected ones are infinite.
    `best` is the best checkpoint by them. `changes` are the changes made, `values` the hyperparameters at the end, as
    far as they are known. `stopped_at` is the step of the first stop that was carried out. `averages` are those that
    were proposed as further candidates at the end, in the order they were. `errors` has a sentence for
    each failure of a strategy.
    """

    scores: Mapping[int, float]
    best: Checkpoint | None
    findings: tuple[Found, ...]
    proposals: tuple[Proposed, ...]
    changes: tuple[Adjustment, ...]
    stopped_at: int | None
    values: Mapping[str, float]
    averages: tuple[Average, ...]
    errors: tuple[str, ...]
    entries: tuple[JournalEntry, ...] = field(repr=False)

    def of(self, kind: str) -> tuple[JournalEntry, ...]:
        """Return the journal entries of one kind: `score`, `check`, `restart`, `note`, `outcome`, ..."""
        return tuple(entry for entry in self.entries if entry.kind == kind)


def played(
    entries: Sequence[JournalEntry], best: Checkpoint | None, stopped_at: int | None, problems: Sequence[str] = ()
) -> Played:
    """Return what the entries of a journal tell; `problems` are sentences about what a resume could not give back."""
    by_kind: dict[str, list[JournalEntry]] = {}
    for entry in entries:
        by_kind.setdefault(entry.kind, []).append(entry)
    checks = by_kind.get("check", [])
    failed = (failure(entry) for entry in by_kind.get("error", []))
    return Played(
        scores={e.step: e.data["value"] for e in by_kind.get("score", []) if e.data["decides"]},
        best=best,
        findings=tuple(Found(step=e.step, **e.data) for e in by_kind.get("finding", [])),
        proposals=tuple(_proposed(e) for e in by_kind.get("proposal", [])),
        changes=tuple(_changes(entries)),
        stopped_at=stopped_at,
        values=dict(checks[-1].data["values"]) if checks else {},
        averages=tuple(Average(e.data["steps"], e.data["leeway"]) for e in by_kind.get("average", [])),
        errors=(*failed, *problems),
        entries=tuple(entries),
    )


def failure(entry: JournalEntry) -> str:
    """Return the sentence of an `error` entry."""
    data = entry.data
    return f"{data['strategy']} failed in {data['hook']} at step {entry.step}: {data['error']}"


def _proposed(entry: JournalEntry) -> Proposed:
    data: Mapping[str, Any] = {"hyperparameter": "", "change": "", "at_least": None, "at_most": None, **entry.data}
    names = (a.name for a in attrs.fields(Proposed) if a.name != "step")
    return Proposed(step=entry.step, **{name: data[name] for name in names})


def _changes(entries: Sequence[JournalEntry]) -> Iterator[Adjustment]:
    epoch: float | None = None
    for entry in entries:
        if entry.kind == "check":
            epoch = entry.data["epoch"]
        elif entry.kind == "adjustment":
            yield Adjustment(step=entry.step, epoch=epoch, **entry.data)
