"""The rails every change keeps inside, and where a run stands on them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from attrs import asdict, define, field, frozen

from steersman.decisions import Adjust
from steersman.hyperparameters import Entry, base_of
from steersman.schedule import RunPlan
from steersman.validating import within

Mode = Literal["observe", "advise", "ask", "act"]
Purpose = Literal["proposal", "revert", "release"]
"""What an offer is for: a strategy's proposal; the undoing of a risk that did not pay; the release of a cut."""


@frozen
class Bounds:
    """What the config allows of one hyperparameter.

    `min` and `max` are absolute and hold at the moment of decision; `min_factor` and `max_factor` bound the product of
    all changes; `owner` names the strategy that alone may change it. The rest, where it is given, takes the place of
    the run's own limits.
    """

    min: float = -math.inf
    max: float = math.inf
    min_factor: float = 0.0
    max_factor: float = math.inf
    owner: str | None = None
    largest_change: float | None = None
    cooldown: int | None = None
    budget: int | None = None

    def __str__(self) -> str:
        low, high = self.min if self.min != -math.inf else None, self.max if self.max != math.inf else None
        parts = [f">= {low:g}" if low is not None else "", f"<= {high:g}" if high is not None else ""]
        if self.min_factor > 0 or self.max_factor < math.inf:
            parts.append(f"factor {self.min_factor:g} to {self.max_factor:g}")
        return " and ".join(part for part in parts if part) or "no bounds"


_NO_BOUNDS = Bounds()


@frozen
class Limits:
    """What holds for every change of a run.

    One change moves a value by at most `largest_change` of itself (None: by any). `cooldown` scheduled checks pass
    between two changes of one hyperparameter; `budget` is how many changes a run may have. No change is made while
    the learning rate warms up unless `warmup`, in the last `last_share` of the steps, or to the learning rate beside
    a scheduler that adapts itself unless `adaptive_scheduler`. After a change that moves the metrics themselves,
    baselines and ranking begin anew if `restart_baselines`.
    """

    largest_change: float | None = field(default=0.5, validator=within(0.0, math.inf, open_below=True))
    """One change moves a value by at most this share of itself, a larger one is shortened; null: by any."""
    cooldown: int = field(default=1, validator=within(0))
    """Scheduled checks that pass between two changes of one hyperparameter."""
    budget: int | None = field(default=20, validator=within(0))
    """Changes a run may have; null: any number."""
    warmup: bool = False
    """Whether changes are made while the learning rate warms up."""
    last_share: float = field(default=0.2, validator=within(0.0, 1.0))
    """The last share of the steps, in which no change is made; 0 is none."""
    adaptive_scheduler: bool = False
    """Whether the learning rate is changed beside a scheduler that adapts it by itself."""
    restart_baselines: bool = True
    """Whether ranking and baselines begin anew after a change that moves the metrics themselves."""


@frozen
class Made:
    """The changes made to one hyperparameter: how many, and at which scheduled check the newest."""

    count: int = 0
    last_check: int = -1


@define
class Standing:
    """How many scheduled checks and changes a run has had."""

    checks: int = 0
    made: dict[str, Made] = field(factory=dict[str, Made])

    @property
    def changes(self) -> int:
        """Changes made, of every hyperparameter."""
        return sum(made.count for made in self.made.values())

    def note(self, name: str) -> None:
        """Count a change of `name` at the check that is being made."""
        self.made[name] = Made(self.made.get(name, Made()).count + 1, self.checks)

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry."""
        return asdict(self)

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `save` returned."""
        self.checks = int(saved.get("checks", 0))
        self.made = {name: Made(**made) for name, made in saved.get("made", {}).items()}


@frozen
class Offer:
    """A proposed change and the strategy that proposes it; `approved` where a person has said yes."""

    strategy: str
    adjust: Adjust
    purpose: Purpose = "proposal"
    approved: bool = False


@frozen
class Rails:
    """The rails at one check. `off` says who switched Steersman off, if anybody did."""

    mode: Mode = "advise"
    allowed: Mapping[str, Bounds] = field(factory=dict[str, Bounds])
    limits: Limits = field(factory=Limits)
    plan: RunPlan = field(factory=RunPlan)
    step: int = 0
    standing: Standing = field(factory=Standing)
    off: str = ""

    def bounds(self, name: str) -> Bounds:
        """Return what is allowed of `name`."""
        return self.allowed.get(name, _NO_BOUNDS)

    @property
    def spent(self) -> str:
        """The refusal of a change that the run's budget does not reach for."""
        return f"the budget of {self.limits.budget} changes a run is spent (rails.budget)"

    @property
    def is_over(self) -> bool:
        """Whether no step is left."""
        return self.plan.total_steps is not None and self.step >= self.plan.total_steps

    def refusal(self, entry: Entry, purpose: Purpose) -> str:
        """Return why `entry` may not be changed for `purpose` at this check, or nothing."""
        if entry.status != "live":
            return f"{entry.name} is {entry.status}: {entry.reason}"
        if self.mode in ("ask", "act") and entry.name not in self.allowed:
            return f"{entry.name} is not named under `hyperparameters:` in the config, so it may not be changed"
        if self.is_over:
            return "no step is left that a change could act on"
        if purpose == "revert":
            return ""
        return self._too_late() or ("" if purpose == "release" else self._not_now(entry))

    def _too_late(self) -> str:
        total, share = self.plan.total_steps, self.limits.last_share
        if total is None or self.step < (1 - share) * total or not share:
            return ""
        return f"no change is made in the last {share:.0%} of the steps (rails.last_share)"

    def _not_now(self, entry: Entry) -> str:
        limits, bounds, plan = self.limits, self.bounds(entry.name), self.plan
        if self.step < plan.warmup_steps and not limits.warmup:
            return f"the learning rate warms up until step {plan.warmup_steps} (rails.warmup)"
        if plan.adaptive_scheduler and base_of(entry.name) == "learning_rate" and not limits.adaptive_scheduler:
            return f"{plan.adaptive_scheduler} adapts the learning rate itself (rails.adaptive_scheduler)"
        made = self.standing.made.get(entry.name, Made())
        if limits.budget is not None and self.standing.changes >= limits.budget:
            return self.spent
        if bounds.budget is not None and made.count >= bounds.budget:
            return f"its budget of {bounds.budget} changes a run is spent"
        cooldown = limits.cooldown if bounds.cooldown is None else bounds.cooldown
        since = self.standing.checks - made.last_check
        if made.count and cooldown and since <= cooldown:
            ago = f"{since} check{'s' if since != 1 else ''} ago" if since else "at the last check"
            return f"it was changed {ago}; {cooldown} must pass between two changes (cooldown)"
        return ""


NO_RAILS: Mapping[str, Any] = {
    "rails": {
        "largest_change": None,
        "cooldown": 0,
        "budget": None,
        "warmup": True,
        "last_share": 0.0,
        "adaptive_scheduler": True,
        "restart_baselines": False,
    },
    "outcomes": {"revert_risky": False, "release_after": 0},
}
"""What a config says where nothing but the bounds of a proposal and of its hyperparameter holds a change."""
