"""Whether a run shows ill health: what was found in it, by the severity that counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs
from attrs import field, frozen

from steersman import recurring
from steersman.journal import JournalEntry
from steersman.lifetime import begin_of
from steersman.readers import UnreadableRun
from steersman.readers.journal import current
from steersman.readers.run_directory import find_journal
from steersman.results.run import FindingMade, ReplayedRun
from steersman.results.telling import error_of, finding_of

FailOn = Literal["warning", "critical"]
_COUNTS: Mapping[str, tuple[str, ...]] = {"warning": ("warning", "critical"), "critical": ("critical",)}


@frozen
class Noticed:
    """A finding of one run, told once however often it was made: at `times` checks from `first_step` to `last_step`.

    `message` holds the first and the last where they differ; `evidence` is that of the first.
    """

    strategy: str
    name: str
    severity: str
    times: int
    first_step: int
    last_step: int
    where: str
    message: str
    evidence: Mapping[str, float | str | None] = field(factory=dict[str, "float | str | None"])


@frozen
class Checked:
    """What was noticed in one run.

    `source` is `journal` where Steersman was attached and the findings were made live, `replay` where they are those
    that strategies make afterwards. `failures` are strategies that failed, so that they did not look; `error` says
    why the run could not be read.
    """

    path: str
    source: Literal["journal", "replay"] | None = None
    noticed: tuple[Noticed, ...] = ()
    failures: tuple[str, ...] = ()
    error: str | None = None

    @property
    def is_looked_at(self) -> bool:
        """Whether the run was read and every strategy that was asked answered."""
        return self.error is None and not self.failures


def checked(run: ReplayedRun, fail_on: FailOn) -> Checked:
    """Return what a replay noticed in a run, of at least the severity `fail_on`."""
    if run.error is not None:
        return Checked(run.path, error=run.error)
    return Checked(run.path, "replay", _noticed(run.findings, fail_on), _failures(run.errors))


def checked_live(path: Path, fail_on: FailOn) -> Checked | None:
    """Return what was noticed while the run at `path` trained; None where it has no journal of Steersman's."""
    journal = find_journal(path)
    if journal is None:
        return None
    try:
        entries = current(journal)
    except UnreadableRun:
        return None  # another program's log may be called the same; who reads it next says what is wrong
    if not begin_of(entries):
        return None
    found = [finding_of(entry) for entry in entries if entry.kind == "finding"]
    errors = [error_of(entry) for entry in entries if entry.kind == "error"]
    return Checked(str(path), "journal", _noticed(found, fail_on), _failures(errors))


def _noticed(findings: Iterable[FindingMade], fail_on: FailOn) -> tuple[Noticed, ...]:
    bad = [finding for finding in findings if finding.severity in _COUNTS[fail_on]]
    groups = recurring.findings(JournalEntry("finding", f.step, attrs.asdict(f)) for f in bad)
    told: list[Noticed] = []
    for group in groups:
        d, steps = group.first.data, [entry.step for entry in group.entries]
        told.append(
            Noticed(
                d["strategy"], d["name"], d["severity"], len(steps), steps[0], steps[-1], group.where,
                group.of("message"), d["evidence"],
            )
        )  # fmt: skip
    return tuple(told)


def _failures(errors: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    said = (f"{error['strategy']} failed in {error['hook']}: {error['error']}" for error in errors)
    return tuple(dict.fromkeys(said))
