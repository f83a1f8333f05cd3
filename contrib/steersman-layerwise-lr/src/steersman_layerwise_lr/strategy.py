"""The strategy around the trust ratio: which norms of a window it reads, and what it proposes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

from attrs import Attribute, define, field, validators

from steersman import Adjust, Check, Finding, Run, Window, hookimpl, state
from steersman_layerwise_lr.trust import Norms, step_towards, wanted_factors

RATE = "learning_rate"
WEIGHT, GRADIENT, UPDATE = "weight_norm/", "grad_norm/", "update_norm/"


def _finite(least: float, greatest: float) -> Any:
    def validate(_: object, attribute: Attribute[Any], value: float) -> None:
        if not (least < value <= greatest and math.isfinite(value)):
            limit = f" and at most {greatest:g}" if math.isfinite(greatest) else ""
            raise ValueError(f"{attribute.name} must be a number above {least:g}{limit}, got {value}")

    return validate


@define(eq=False)
class LayerwiseLR:
    """Give each parameter group a factor on the learning rate, by its ratio of weight norm to gradient norm.

    The ratio says how far a group can go in its own measure. Each group's is divided by that of the median group, kept
    within `min_factor` and `max_factor` of the user's own rate, and the group's factor moves towards it by at most
    `largest_change` a check. Norms are `weight_norm/NAME` and `grad_norm/NAME`, or `update_norm/NAME` for optimizers
    that rescale the gradient (LAMB), averaged over the check's window; NAME is the NAME of `learning_rate[NAME]`. A
    group with a norm of 0 keeps its factor. With norms of fewer than two groups that is said once. A lowered factor
    lasts, a raised one is a risk like any other (`outcomes.revert_risky`).

    Source: You, Gitman, Ginsburg (2017), Large Batch Training of Convolutional Networks (LARS)
    Source: You et al. (2019), Large Batch Optimization for Deep Learning: Training BERT in 76 minutes (LAMB)
    """

    min_factor: float = field(default=0.5, validator=_finite(0, 1))
    """The lowest factor a group may have; half, because a group far below the others hardly learns."""
    max_factor: float = field(default=2.0, validator=[_finite(0, math.inf), validators.ge(1)])
    """The highest factor a group may have; twice, because a rate that was tuned has little room above it."""
    largest_change: float = field(default=0.1, validator=_finite(0, math.inf))
    """The most by which one check raises a factor, as a share of it; a tenth, so that one odd window does little."""
    deadband: float = field(default=0.1, validator=[validators.ge(0), validators.lt(math.inf)])
    """How near a factor is to the wanted one to be left alone, as a share; noise must not spend the change budget."""
    ratio: Literal["auto", "gradient", "update"] = "auto"
    """What the weights are compared with: the gradient (LARS, for SGD), the optimizer's update (LAMB, for Adam), or
    `auto`, the update where every group logs one."""
    groups: tuple[str, ...] = ()
    """The groups that take part; empty for every one with norms. Leave out biases and norms, as both papers do."""

    said: bool = state(False)

    def __attrs_post_init__(self) -> None:
        if len(self.groups) == 1:
            raise ValueError(f"groups names only {self.groups[0]!r}; expected at least two, or none for all")

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Finding | None:
        found = self._norms(check.window) if check.window is not None else {}
        if check.window is None or len(found) > 1:
            return None
        known = [name[len(RATE) + 1 : -1] for name in run.hyperparameters if name.startswith(f"{RATE}[")]
        missing = next((name for name in (*known, "0", "1") if name not in found), "")
        for prefix in (WEIGHT, GRADIENT):
            _ = run.history[f"{prefix}{missing}"].latest  # remembered, and named at the end of the run
        if self.said:
            return None
        self.said = True
        has = f"only {next(iter(found))} has norms" if found else "no parameter group has norms"
        message = (
            f"{has} in the log and factors need two, so nothing is proposed; log norms(optimizer) of several groups"
        )
        return Finding("too-few-groups", message, "info", {"groups": float(len(found))})

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Iterator[Adjust]:
        if check.window is None or check.reason != "scheduled":
            return
        norms = self._norms(check.window)
        for name, wanted in wanted_factors(norms, self.min_factor, self.max_factor).items():
            rate = run.hyperparameters[f"{RATE}[{name}]"]
            scale = step_towards(wanted, rate.factor, largest_change=self.largest_change, deadband=self.deadband)
            if scale is not None:
                n = norms[name]
                because = f"weight norm {n.weight:.3g} to {n.step:.3g}: factor {rate.factor:.3g} towards {wanted:.3g}"
                yield Adjust(rate.name, scale=scale, because=because, lasting=True)

    def _norms(self, window: Window) -> dict[str, Norms]:
        """Return the mean norms of the groups that take part and have both."""
        names = [n.removeprefix(WEIGHT) for n in window.means if n.startswith(WEIGHT)]
        names = [name for name in names if name in self.groups or not self.groups]
        has_updates = all(f"{UPDATE}{n}" in window.means or f"{UPDATE}{n}" in window.nonfinite for n in names)
        prefix = UPDATE if self.ratio == "update" or (self.ratio == "auto" and has_updates) else GRADIENT
        read = ((name, window.mean(f"{WEIGHT}{name}"), window.mean(f"{prefix}{name}")) for name in names)
        return {name: Norms(weight, step) for name, weight, step in read if weight is not None and step is not None}
