"""One health check: what strategies see of it, and diagnose -> propose -> arbitrate."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from steersman.arbiter import Verdict
from steersman.control import Said
from steersman.decisions import Finding, Proposal
from steersman.dispatch import ANSWERS, Dispatch
from steersman.outcomes import Judged
from steersman.run import Run
from steersman.windows import WATCHED, Window

_ALL_WATCHED = frozenset(WATCHED)
Reason = Literal["scheduled", "anomaly", "end"]


@frozen
class Check:
    """One health check.

    `window` is the window it looks at and `windows` are those of the scheduled checks up to and with this one.
    `reason` is `scheduled`; `anomaly` when a loss or gradient norm became NaN or infinite, where `window` is the open
    one so far; `end` after the last step, where `window` is the partial last one or None. `findings` are the asked
    strategy's own, `all_findings` everybody's as (strategy, finding); both are empty during `diagnose`.
    """

    step: int
    epoch: float | None
    reason: Reason
    window: Window | None
    windows: tuple[Window, ...] = ()
    findings: tuple[Finding, ...] = ()
    all_findings: tuple[tuple[str, Finding], ...] = field(default=())

    @property
    def may_propose(self) -> bool:
        """Whether proposals are asked for: not at the end of the run."""
        return self.reason != "end"


@frozen
class Ruled:
    """A proposal that is no change of a value, or an offer with its verdict.

    In mode `ask` it has a `number` while it waits, and is `approved` where a person has said yes.
    """

    strategy: str
    proposal: Proposal
    verdict: Verdict | None = None
    number: int | None = None
    approved: bool = False


@frozen
class Outcome:
    """What a check came to: findings and rulings in config order, what a person said, changes judged, and notes."""

    findings: tuple[tuple[str, Finding], ...] = ()
    rulings: tuple[Ruled, ...] = ()
    said: Said = Said()
    judged: tuple[Judged, ...] = ()
    expired: tuple[Ruled, ...] = ()
    notes: tuple[str, ...] = ()
    is_healthy: bool | None = None
    is_sound: bool = False


def examine(check: Check, run: Run, dispatch: Dispatch) -> tuple[list[tuple[str, Finding]], list[tuple[str, Proposal]]]:
    """Ask every strategy for findings, then for proposals."""
    findings = dispatch.collect("diagnose", run, check, (Finding,))
    proposals: list[tuple[str, Proposal]] = []
    if not check.may_propose:
        return findings, proposals
    seen = tuple(findings)
    for strategy, item in dispatch.collect(
        "propose_adjustments", run, check, ANSWERS, lambda name: _for_strategy(check, seen, name)
    ):
        if isinstance(item, Finding):
            findings.append((strategy, item))
        else:
            proposals.append((strategy, item))
    return findings, proposals


def health(check: Check, findings: list[tuple[str, Finding]]) -> tuple[bool | None, bool]:
    """Return whether the run is healthy at a check, and whether it is sound.

    Healthy: nothing worse than `info` was found and nothing watched was NaN; None where there was nothing to see.
    Sound: nothing critical was found and nothing watched was NaN, so that a rollback may return here.
    """
    window = check.window
    if check.reason == "anomaly" or (
        window is not None and window.nonfinite and not _ALL_WATCHED.isdisjoint(window.nonfinite)
    ):
        return False, False
    well = sound = True
    for _, finding in findings:
        well = well and finding.severity == "info"
        sound = sound and finding.severity != "critical"
    return (well if window is not None or not well else None), sound


def _for_strategy(check: Check, findings: tuple[tuple[str, Finding], ...], strategy: str) -> Check:
    if not findings:
        return check
    own = tuple(finding for name, finding in findings if name == strategy)
    return Check(check.step, check.epoch, check.reason, check.window, check.windows, own, findings)
