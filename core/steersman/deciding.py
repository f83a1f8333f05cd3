"""What rank 0 makes of a check: findings, what a person said, every offer, and the arbiter's ruling on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import asdict, define, evolve, field

from steersman.arbiter import arbitrate
from steersman.checks import Check, Outcome, Ruled, examine, health
from steersman.config import Config
from steersman.control import Control, Said
from steersman.decisions import Adjust, Proposal, Rollback, Save, Stop
from steersman.dispatch import Dispatch
from steersman.disputes import Disputes
from steersman.hyperparameters import MOVES_REWARDS, base_of
from steersman.journal import to_json
from steersman.outcomes import OWN_NAME, Judged, Outcomes
from steersman.rails import Offer, Rails, Standing
from steersman.registry import Registry
from steersman.run import Run
from steersman.schedule import RunPlan
from steersman.snapshots import Recovery

_PUT_BACK = "everything is being put back (steersman revert)"


@define(eq=False)
class Decider:
    """Decides at each check. `standing` and `outcomes` are where the run stands; `waiting` what awaits a yes.

    `guard_failed` tells of a strategy whose failure stops the run: then nothing is changed before it has stopped.
    """

    config: Config
    run: Run
    dispatch: Dispatch
    registry: Registry
    plan: RunPlan
    control: Control
    recovery: Recovery
    guard_failed: Callable[[], str] = lambda: ""
    halted: str = ""
    standing: Standing = field(factory=Standing)
    disputes: Disputes = field(factory=Disputes)
    outcomes: Outcomes = field(init=False)
    waiting: tuple[Ruled, ...] = ()
    numbers: int = 0

    def __attrs_post_init__(self) -> None:
        self.outcomes = Outcomes(self.config.outcomes)

    def decide(self, check: Check) -> Outcome:
        """Return everything that follows from a check; nothing is carried out here."""
        said = self.control.hear(check.step)
        said = evolve(said, off=self.halted) if self.halted else said
        findings, proposed = examine(check, self.run, self.dispatch)
        failed = self.guard_failed()
        said = evolve(said, off=failed) if failed else said
        healthy, sound = health(check, findings)
        judged, own = self._watched(check, healthy=bool(healthy))
        if not check.may_propose:
            return Outcome(tuple(findings), said=said, judged=tuple(judged), is_healthy=healthy)
        if not (self.waiting or proposed or own):
            self.disputes.hear(())
            return Outcome(tuple(findings), (), said, tuple(judged), (), (), healthy, sound)
        approved = tuple(w for w in self.waiting if w.number in said.approved)
        left = tuple(w for w in self.waiting if w.number not in said.approved)
        expired = left if check.reason == "scheduled" else ()  # a check out of turn leaves no time to say yes
        rails = self._rails(check, said)
        waiting = [evolve(w, number=None, approved=True) for w in approved]
        still = () if expired else left
        known = {(w.strategy, _kind(w.proposal)) for w in still}
        new = [Ruled(*p) for p in proposed if (p[0], _kind(p[1])) not in known]
        rulings, notes = self._rule([*waiting, *new], own, rails)
        self.waiting = (*still, *(r for r in rulings if r.number is not None))
        return Outcome(tuple(findings), rulings, said, tuple(judged), expired, tuple(notes), healthy, sound)

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry."""
        return {
            "standing": self.standing.save(),
            "disputes": self.disputes.save(),
            "outcomes": self.outcomes.save(),
            "waiting": [_to_json(w) for w in self.waiting],
            "numbers": self.numbers,
            "requests_read": self.control.read,
            "rollbacks": self.recovery.used,
            "halted": self.halted,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `save` returned."""
        self.standing.restore(saved.get("standing", {}))
        self.disputes.restore(saved.get("disputes", {}))
        self.outcomes.restore(saved.get("outcomes", {}))
        self.waiting = tuple(_from_json(w) for w in saved.get("waiting", ()))
        self.numbers = int(saved.get("numbers", 0))
        self.control.read = int(saved.get("requests_read", self.control.read))
        self.recovery.used = max(self.recovery.used, int(saved.get("rollbacks", 0)))
        self.halted = str(saved.get("halted", ""))

    @staticmethod
    def offer_of(ruled: Ruled, adjust: Adjust) -> Offer:
        """Return the offer that a proposed change is to the arbiter."""
        return Offer(ruled.strategy, adjust, approved=ruled.approved)

    def _watched(self, check: Check, *, healthy: bool) -> tuple[list[Judged], list[Offer]]:
        if check.reason != "scheduled":
            return [], []
        self.standing.checks += 1
        if not self.outcomes.trials:
            return [], []
        made = self.run.adjustments
        changed = [a.step for a in made]
        moved = [a.step for a in made if base_of(a.hyperparameter) in MOVES_REWARDS]
        factors = {name: entry.factor for name, entry in self.registry.entries.items()}
        return self.outcomes.examine(check.windows, changed, factors, healthy=healthy, moved=moved)

    def _rails(self, check: Check, said: Said) -> Rails:
        off = _PUT_BACK if said.reverts else said.off
        config = self.config
        return Rails(config.mode, config.allowed, config.rails, self.plan, check.step, self.standing, off)

    def _rule(self, asked: Sequence[Ruled], own: Sequence[Offer], rails: Rails) -> tuple[tuple[Ruled, ...], list[str]]:
        """Return the ruling on everything asked for by strategies, then on our own offers."""
        offers = [self.offer_of(ruled, ruled.proposal) for ruled in asked if isinstance(ruled.proposal, Adjust)]
        factor = self._cut_at_rollback(asked, rails)
        if factor < 1:
            own = [*own, Offer(OWN_NAME, Adjust("learning_rate", scale=factor, because="rollback"), "revert")]
        given = arbitrate([*offers, *own], self.registry, rails, lambda adjust: self.dispatch.veto(self.run, adjust))
        verdicts = iter(given)
        rulings = [evolve(r, verdict=next(verdicts)) if isinstance(r.proposal, Adjust) else r for r in asked]
        rulings += [Ruled(OWN_NAME, verdict.offer.adjust, verdict, approved=True) for verdict in verdicts]
        return tuple(self._numbered(ruled, rails) for ruled in rulings), self.disputes.hear(given)

    def _cut_at_rollback(self, asked: Sequence[Ruled], rails: Rails) -> float:
        """Return what the learning rate is multiplied by at this check for the rollback that is made, or 1."""
        if rails.off or not self.recovery.is_ready or "learning_rate" not in rails.allowed:
            return 1.0
        for ruled in asked:
            if isinstance(ruled.proposal, Rollback) and (ruled.approved or rails.mode == "act"):
                return self.recovery.factor_of(ruled.proposal.factor)
        return 1.0

    def _numbered(self, ruled: Ruled, rails: Rails) -> Ruled:
        """Return a ruling that must wait for a yes with the number to say yes to."""
        if isinstance(ruled.proposal, Adjust):
            waits = ruled.verdict is not None and ruled.verdict.ruling == "waiting"
        else:
            may_wait = rails.mode == "ask" and not rails.off and not rails.is_over
            waits = may_wait and not ruled.approved and not isinstance(ruled.proposal, Save)
        if not waits:
            return ruled
        self.numbers += 1
        return evolve(ruled, number=self.numbers)


_PROPOSALS: dict[str, Any] = {kind.__name__: kind for kind in (Adjust, Stop, Save, Rollback)}


def _kind(proposal: Proposal) -> str:
    """Return what a proposal is about: two of one kind by one strategy are the same wish."""
    return proposal.hyperparameter if isinstance(proposal, Adjust) else type(proposal).__name__


def _to_json(waiting: Ruled) -> dict[str, Any]:
    proposal = waiting.proposal
    kind, fields = type(proposal).__name__, asdict(proposal)
    return {"strategy": waiting.strategy, "number": waiting.number, "kind": kind, "fields": fields}


def _from_json(saved: Mapping[str, Any]) -> Ruled:
    fields = {**saved["fields"], "because": str(to_json(saved["fields"]["because"]))}  # a reason may be the text NaN
    return Ruled(saved["strategy"], _PROPOSALS[saved["kind"]](**fields), number=saved["number"])
