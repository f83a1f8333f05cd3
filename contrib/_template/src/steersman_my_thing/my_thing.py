"""The rule of `my-thing`, and the strategy around it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from attrs import define, field, validators
from steersman import Adjust, Check, Finding, Run, hookimpl, state


def jump(norms: Sequence[float], window: int) -> float | None:
    """Return how many times the median of the `window` norms before it the newest is, None while there are fewer."""
    before = norms[-window - 1 : -1]
    if len(before) < window:
        return None
    usual = statistics.median(before)
    return norms[-1] / usual if usual > 0 else None


@define(eq=False)
class MyThing:
    """Propose a lower learning rate when the gradient norm jumps above what it was.

    Source: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks.
    """

    factor: float = field(default=5.0, validator=validators.gt(1.0))
    """How many times the median a norm is that counts as a jump; above what noise alone does in most runs."""
    window: int = field(default=10, validator=validators.ge(2))
    """How many norms the median is of: enough that one more jump among them does not move it."""
    cut: float = field(default=0.5, validator=[validators.gt(0.0), validators.lt(1.0)])
    """What the learning rate is multiplied by after a jump; half is the largest change that the rails allow."""

    judged: int = state(-1)

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Finding | None:
        norms = run.history["grad_norm"]
        if norms.latest_step is None or norms.latest_step <= self.judged:
            return None  # nothing was logged since the check before
        self.judged = norms.latest_step
        times = jump(norms.finite().last(self.window + 1), self.window)
        if times is None or times < self.factor:
            return None
        return Finding("gradient-jump", f"gradient norm {times:.1f} times its median", evidence={"times": times})

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Adjust | None:
        if not check.findings:  # its own; those of all strategies are `check.all_findings`
            return None
        return Adjust("learning_rate", scale=self.cut, because="gradient-jump")
