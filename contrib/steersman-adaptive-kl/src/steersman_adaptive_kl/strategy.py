"""The strategy around the controller: which window it looks at, when it has no say, and what it proposes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from attrs import Attribute, define, field, validators

from steersman import Adjust, Check, Finding, Run, hookimpl, state
from steersman_adaptive_kl.controller import bounds, multiplier, relative_error

PENALTY = "kl_penalty"
REACH = 10.0
"""How far a penalty without bounds may go from the user's own, as a factor, in either direction."""


def _above_zero(_: object, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{attribute.name} must be a number above 0, got {value}")


@define(eq=False)
class AdaptiveKL:
    """Move the KL penalty so that the KL divergence to the reference model stays at `target`.

    At each scheduled check e = (KL - target) / target, kept within +-`clip`, KL being the mean of `metric` over the
    check's window, and beta <- beta x (1 + `gain` x e)^n. The paper updates beta once a batch of the policy; a check
    covers many of them, so n is the steps of the window over `steps_per_update`, and the product of all n is kept
    within 1 / (1 + `largest_change`) and 1 + `largest_change`. A policy begins as its reference model, at a KL of 0, so
    the penalty is not lowered while the KL still rises by itself, unless `lower_while_rising`: it would be at its
    lowest when the KL arrives. A window without the metric, with a value of it that is not finite, or with a mean below
    0, which no KL divergence can have, changes nothing. Where the penalty is 0 or not known, or cannot be changed, that
    is said once. A raised penalty lasts, a lowered one is a risk like any other (`outcomes.revert_risky`).

    Source: Ziegler et al. (2019), Fine-Tuning Language Models from Human Preferences, section 2.2
    """

    target: float = field(validator=_above_zero)
    """The KL divergence to hold, in the unit of `metric`; no default, because TRL logs nats a token and the paper nats
    a sequence."""
    metric: str = field(default="kl", validator=validators.min_len(1))
    """The logged KL divergence to the reference model, not multiplied by the penalty; TRL's name."""
    gain: float = field(default=0.1, validator=[_above_zero, validators.le(1)])
    """K of the paper: the share of the error by which one update changes the penalty; 0.1 is the paper's."""
    clip: float = field(default=0.2, validator=[_above_zero, validators.lt(1)])
    """The largest relative error that counts, in either direction; 0.2 is the paper's."""
    steps_per_update: int = field(default=1, validator=validators.ge(1))
    """Optimizer steps per update of the paper's; more than 1 where one generation is learned from for several steps."""
    largest_change: float = field(default=0.25, validator=_above_zero)
    """The most by which one check raises the penalty, as a share of it; a quarter leaves the policy time to follow."""
    deadband: float = field(default=0.1, validator=[validators.ge(0), validators.lt(math.inf)])
    """The relative error up to which nothing is proposed, so that noise does not spend the budget of changes."""
    lower_while_rising: bool = False
    """Whether a KL below the target that rose by more than `deadband` since the last check lowers the penalty too, as
    in the paper."""
    at_least: float | None = field(default=None, validator=_above_zero)
    """The lowest penalty; None is a tenth of the user's own, because an unbounded controller runs away."""
    at_most: float | None = field(default=None, validator=_above_zero)
    """The highest penalty; None is ten times the user's own."""

    said: bool = state(False)
    before: float | None = state(None)

    def __attrs_post_init__(self) -> None:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}; expected it at or below")

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        because, window, kl = _why_not(run), check.window, self._mean(run, check)
        if because and window is not None and not self.said:
            self.said = True
            yield Finding("kl-penalty-fixed", f"{because}, so nothing is proposed", "info")
        if window is not None and window.nonfinite.get(self.metric):
            yield Finding("kl-not-finite", f"{self.metric} was NaN or infinite, so this window steers nothing")
        elif kl is not None and kl < 0:
            says = f"{self.metric} is {kl:.4g} and no KL divergence is below 0: its samples are not the policy's"
            yield Finding("kl-negative", f"{says}, so this window steers nothing", evidence={self.metric: kl})

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Adjust | None:
        window, kl = check.window, self._mean(run, check)
        if kl is None or window is None or check.reason != "scheduled":
            return None
        if kl < 0 or window.nonfinite.get(self.metric):
            return None
        before, self.before = self.before, kl
        error = relative_error(kl, self.target)
        rises = before is None or kl > before * (1 + self.deadband)
        is_held = error < 0 and rises and not self.lower_while_rising
        if abs(error) <= self.deadband or is_held or _why_not(run):
            return None
        return self._change(run, error, kl, window.last_step - window.first_step)

    def _change(self, run: Run, error: float, kl: float, steps: int) -> Adjust:
        scale = multiplier(
            error,
            gain=self.gain,
            clip=self.clip,
            updates=max(steps // self.steps_per_update, 1),
            largest_change=self.largest_change,
        )
        penalty = run.hyperparameters[PENALTY]
        low, high = bounds(
            penalty.value or 0.0, penalty.factor, at_least=self.at_least, at_most=self.at_most, reach=REACH
        )
        way = "above" if error > 0 else "below"
        because = f"{self.metric} {kl:.4g} is {abs(error):.0%} {way} its target {self.target:g}"
        return Adjust(PENALTY, scale=scale, at_least=low, at_most=high, because=because, lasting=True)

    def _mean(self, run: Run, check: Check) -> float | None:
        _ = run.history[self.metric].latest  # remembered, and named at the end of the run if it never comes
        return check.window.mean(self.metric) if check.window is not None else None


def _why_not(run: Run) -> str:
    """Return why the penalty cannot be steered, or nothing where it can."""
    penalty = run.hyperparameters[PENALTY]
    if penalty.value is not None and penalty.value <= 0:
        return f"{PENALTY} is {penalty.value:g}, and only one above 0 can be steered"
    if penalty.status != "live":
        return f"{PENALTY} is {penalty.status} here"
    if penalty.value is None or not math.isfinite(penalty.value):
        return f"the value of {PENALTY} is not known here"
    return ""
