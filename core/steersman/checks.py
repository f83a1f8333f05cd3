"""One health check: what strategies see of it, and diagnose -> propose -> arbitrate."""

from __future__ import annotations

from typing import Literal

from attrs import evolve, field, frozen

from steersman.arbiter import Offer, Rails, Verdict, arbitrate
from steersman.decisions import Adjust, Finding, Proposal
from steersman.dispatch import Dispatch
from steersman.hyperparameters import Registry
from steersman.run import Run
from steersman.windows import Window

Reason = Literal["scheduled", "anomaly", "end"]


@frozen
class Check:
    """One health check.

    `window` is the window it looks at and `windows` are those of the scheduled checks up to and with this one.
    `reason` is `scheduled`; `anomaly` when a loss or gradient norm became NaN or infinite, where `window` is the open
    one so far; `end` after the last step, where `window` is the partial last one or None. `findings` are the asked
    strategy's own, `all_findings` everybody's; both are empty during `diagnose`.
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
    """A proposal that is no change of a value, or an offer with its verdict."""

    strategy: str
    proposal: Proposal
    verdict: Verdict | None = None


@frozen
class Outcome:
    """What a check came to: findings and rulings, in config order."""

    findings: tuple[tuple[str, Finding], ...] = ()
    rulings: tuple[Ruled, ...] = ()


def examine(check: Check, run: Run, dispatch: Dispatch, registry: Registry, rails: Rails) -> Outcome:
    """Ask every strategy for findings, then for proposals, and rule on them."""
    findings = list(dispatch.collect("diagnose", run, check, Finding))
    if not check.may_propose:
        return Outcome(tuple(findings))
    seen = tuple(findings)
    proposals: list[tuple[str, Proposal]] = []
    for strategy, item in dispatch.collect(
        "propose_adjustments", run, check, Finding | Proposal, lambda name: _for_strategy(check, seen, name)
    ):
        if isinstance(item, Finding):
            findings.append((strategy, item))
        else:
            proposals.append((strategy, item))
    offers = [Offer(strategy, p) for strategy, p in proposals if isinstance(p, Adjust)]
    verdicts = iter(arbitrate(offers, registry, rails, lambda adjust: dispatch.veto(run, adjust)))
    rulings = [Ruled(s, p, next(verdicts) if isinstance(p, Adjust) else None) for s, p in proposals]
    return Outcome(tuple(findings), tuple(rulings))


def _for_strategy(check: Check, findings: tuple[tuple[str, Finding], ...], strategy: str) -> Check:
    own = tuple(finding for name, finding in findings if name == strategy)
    return evolve(check, findings=own, all_findings=findings)
