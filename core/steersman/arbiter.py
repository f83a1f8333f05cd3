"""Many proposals in, at most one change per hyperparameter out, inside every rail; each verdict with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from attrs import evolve, frozen

from steersman.decisions import Adjust
from steersman.hyperparameters import SAFER, Entry, base_of
from steersman.rails import Bounds, Offer, Rails
from steersman.registry import Registry

_ABOVE_ZERO = frozenset(SAFER) - {"reward_threshold"}
Ruling = Literal[
    "accepted", "applied", "advised", "waiting", "expired", "refused", "lost", "vetoed", "failed", "unknown"
]


@frozen
class Verdict:
    """What became of an offer. `old` and `new` are None where the value is not known."""

    offer: Offer
    ruling: Ruling
    reason: str
    old: float | None = None
    new: float | None = None
    ratio: float = 1.0


def arbitrate(
    offers: list[Offer], registry: Registry, rails: Rails, veto: Callable[[Adjust], str | None] = lambda _: None
) -> list[Verdict]:
    """Return a verdict for each offer, in the order offered.

    One winner per hyperparameter: what a person has approved; else the one whose resulting value is safest; where
    neither way is safer the smaller change; then the first in config order. A bound shortens a change and never
    reverses it.
    """
    verdicts: dict[int, Verdict] = {}
    for name in dict.fromkeys(offer.adjust.hyperparameter for offer in offers):
        rivals = [(i, offer) for i, offer in enumerate(offers) if offer.adjust.hyperparameter == name]
        verdicts.update(_rule_on(rivals, registry.get(name), rails, veto))
    return _within_budget(_without_members([verdicts[i] for i in range(len(offers))]), rails)


def _within_budget(verdicts: list[Verdict], rails: Rails) -> list[Verdict]:
    """Refuse what the budget of the run does not reach for, where a check would change several hyperparameters."""
    kept: list[Verdict] = []
    left = math.inf if rails.limits.budget is None else rails.limits.budget - rails.standing.changes
    for verdict in verdicts:
        spends = verdict.ruling == "accepted" and verdict.offer.purpose == "proposal"
        left -= spends
        kept.append(evolve(verdict, ruling="refused", reason=rails.spent) if spends and left < 0 else verdict)
    return kept


def _without_members(verdicts: list[Verdict]) -> list[Verdict]:
    """Refuse a change of a member where what it is a member of changes at the same check: changes do not stack."""
    whole = {v.offer.adjust.hyperparameter for v in verdicts if v.ruling in ("accepted", "waiting", "advised")}
    return [
        evolve(verdict, ruling="lost", reason=f"{base} is changed at this check; changes do not stack")
        if (base := base_of(name := verdict.offer.adjust.hyperparameter)) != name
        and {base, name} <= whole
        and verdict.ruling in ("accepted", "waiting", "advised")
        else verdict
        for verdict in verdicts
    ]


def _rule_on(
    rivals: list[tuple[int, Offer]], entry: Entry, rails: Rails, veto: Callable[[Adjust], str | None]
) -> dict[int, Verdict]:
    bounds = rails.bounds(entry.name)
    refused = {
        i: Verdict(offer, "refused", refusal) for i, offer in rivals if (refusal := rails.refusal(entry, offer.purpose))
    }
    rivals = [(i, offer) for i, offer in rivals if i not in refused]
    return refused | (_choose(rivals, entry, bounds, rails, veto) if rivals else {})


def _choose(
    rivals: list[tuple[int, Offer]], entry: Entry, bounds: Bounds, rails: Rails, veto: Callable[[Adjust], str | None]
) -> dict[int, Verdict]:
    value = entry.value
    if value is None:
        reason = f"the value of {entry.name} is not known here"
        return {i: Verdict(offer, "unknown", reason) for i, offer in rivals}
    if not math.isfinite(value):
        return {i: Verdict(offer, "refused", f"{entry.name} is {value}") for i, offer in rivals}
    outcomes = {i: _aim(offer, value, entry.factor, bounds, rails) for i, offer in rivals}
    has_owner = bounds.owner is not None
    owned = [i for i, o in rivals if has_owner and (o.strategy == bounds.owner or o.purpose != "proposal")]
    if has_owner and not owned:
        return {i: Verdict(offer, "refused", f"its owner is {bounds.owner}", value) for i, offer in rivals}
    asked_for = [i for i in owned or outcomes if outcomes[i].offer.approved and outcomes[i].ruling == "accepted"]
    winner = min(asked_for or owned or list(outcomes), key=lambda i: _preference(outcomes[i], value, entry, i))
    return {
        i: _settle(verdict, rails, veto) if i == winner else _lose(verdict, outcomes[winner], bounds)
        for i, verdict in outcomes.items()
    }


def _aim(offer: Offer, value: float, factor: float, bounds: Bounds, rails: Rails) -> Verdict:
    """Return the value an offer leads to inside its own bounds and the config's, or its refusal."""
    adjust = offer.adjust
    entry_name = adjust.hyperparameter
    target = value * adjust.scale if adjust.scale is not None else value + (adjust.add or 0.0)
    low, high = bounds.min, bounds.max
    if factor and value:
        least = value / factor * bounds.min_factor if bounds.min_factor > 0 else math.copysign(math.inf, -value)
        ends = sorted((least, value / factor * bounds.max_factor))
        low, high = max(low, ends[0]), min(high, ends[1])
    if not low <= value <= high:
        return _from_outside(offer, value, target, low, high)
    low = low if adjust.at_least is None else max(low, adjust.at_least)
    high = high if adjust.at_most is None else min(high, adjust.at_most)
    largest = rails.limits.largest_change if bounds.largest_change is None else bounds.largest_change
    if largest is not None and value and offer.purpose == "proposal":
        low, high = max(low, value - abs(value) * largest), min(high, value + abs(value) * largest)
    if target == value:
        return Verdict(offer, "refused", "it would change nothing", value, value)
    new = min(target, high) if target > value else max(target, low)
    if (new - value) * (target - value) <= 0:
        bound = f"at most {high:g}" if target > value else f"at least {low:g}"
        return Verdict(offer, "refused", f"{value:g} is already at its bound ({bound})", value, value)
    if not math.isfinite(new) or (value > 0 and new <= 0 and base_of(entry_name) in _ABOVE_ZERO):
        return Verdict(offer, "refused", f"it would be {new:g}, which no {entry_name} can be", value, value)
    if not low <= new <= high:
        return Verdict(offer, "refused", f"{new:g} lies outside the bounds {low:g} to {high:g}", value, value)
    exact = adjust.scale is not None and new == target
    ratio = adjust.scale if exact and adjust.scale is not None else (new / value if value else 1.0)
    shortened = "" if new == target else f", shortened by its bound from {target:g}"
    return Verdict(offer, "accepted", f"{value:g} -> {new:g}{shortened}", value, new, ratio)


def _from_outside(offer: Offer, value: float, target: float, low: float, high: float) -> Verdict:
    """Return the verdict where the value in force is outside the config's bounds: only the way in is open."""
    adjust = offer.adjust
    own_low = -math.inf if adjust.at_least is None else adjust.at_least
    own_high = math.inf if adjust.at_most is None else adjust.at_most
    if value != target and value and max(low, own_low) <= target <= min(high, own_high):
        return Verdict(offer, "accepted", f"{value:g} -> {target:g}", value, target, target / value)
    reason = f"{value:g} is outside its bounds, {low:g} to {high:g}; only a change that leads inside is made"
    return Verdict(offer, "refused", reason, value, value)


def _preference(verdict: Verdict, value: float, entry: Entry, order: int) -> tuple[float, float, int]:
    new = value if verdict.new is None else verdict.new
    unsafety = {"down": new, "up": -new, None: 0.0}[entry.safer]
    change = abs(new - value)
    return unsafety, change if change else math.inf, order


def _settle(verdict: Verdict, rails: Rails, veto: Callable[[Adjust], str | None]) -> Verdict:
    if verdict.ruling != "accepted":
        return verdict
    if rails.off:
        return evolve(verdict, ruling="advised", reason=f"{verdict.reason}; not applied: {rails.off}")
    if rails.mode == "ask" and not verdict.offer.approved and verdict.offer.purpose == "proposal":
        return evolve(verdict, ruling="waiting")
    if rails.mode not in ("ask", "act"):
        return evolve(verdict, ruling="advised", reason=f"{verdict.reason}; not applied: the mode is {rails.mode}")
    objection = veto(verdict.offer.adjust)
    return evolve(verdict, ruling="vetoed", reason=objection) if objection else verdict


def _lose(verdict: Verdict, winner: Verdict, bounds: Bounds) -> Verdict:
    if verdict.ruling == "refused":
        return verdict
    if bounds.owner is not None and winner.offer.strategy == bounds.owner != verdict.offer.strategy:
        reason = f"its owner is {bounds.owner}"
    elif winner.offer.approved and not verdict.offer.approved:
        reason = f"{winner.offer.adjust.change} of {winner.offer.strategy} was approved; changes do not stack"
    elif verdict.new == winner.new:
        reason = f"{winner.offer.strategy} proposes the same for another reason; changes do not stack"
    else:
        says = f"{winner.offer.adjust.change} of {winner.offer.strategy} ({winner.offer.adjust.because})"
        reason = f"{says} is preferred: the safer wins, then the smaller change; changes do not stack"
    return evolve(verdict, ruling="lost", reason=reason)
