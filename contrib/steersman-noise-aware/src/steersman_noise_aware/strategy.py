"""The strategy `noise-aware`: options, and the hook around the rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from attrs import asdict, define, evolve, field, validators

from steersman import Checkpoint, Run, Score, hookimpl, state
from steersman_noise_aware.rule import Judged, Reference, judge, wobble


@define(eq=False)
class NoiseAware:
    """Score a checkpoint by a metric; within one standard error of the best so far a second metric decides.

    Lower scores are better. A checkpoint that is better by more than the standard error ranks before all earlier ones.
    One that is worse by more scores its own value. Without a finite value of each metric it has no opinion.

    The standard error is `stderr_metric`; or `std_metric` / sqrt(`examples`); or else estimated from the newest
    evaluations as the robust noise of the differences of neighbours. That estimate needs `evaluations_needed`
    evaluations, before which nothing ties. It is how much neighbouring checkpoints differ, not the sampling error of
    the evaluation set, so it does not see what all of them share; and a bend in the curve counts as noise.

    Source: Breiman, Friedman, Olshen, Stone (1984), Classification and Regression Trees, 3.4.3 (the 1 SE rule).
    """

    metric: str = "eval_loss"
    """What is compared first: the loss is what is measured with the least noise."""
    direction: Literal["lower", "higher"] = "lower"
    """Which way `metric` is better."""
    second: str = "eval_accuracy"
    """What decides among the tied: what the model is for, where the loss is only a stand-in."""
    second_direction: Literal["lower", "higher"] = "higher"
    """Which way `second` is better."""
    stderr_metric: str | None = None
    """A logged standard error of `metric`, in its unit, such as eval_loss_stderr; none is logged by default."""
    std_metric: str | None = None
    """A logged standard deviation of `metric` over the examples, in its unit; goes with `examples`."""
    examples: int | None = field(default=None, validator=validators.optional(validators.ge(2)))
    """How many examples one evaluation has; no trainer logs it, so it cannot be guessed."""
    evaluations_needed: int = field(default=6, validator=validators.ge(4))
    """How many evaluations the estimate needs: with 6 the median is over five differences."""
    window: int = field(default=20, validator=validators.ge(4))
    """How many of the newest evaluations the estimate looks at: the steep ones of the start are soon left behind."""

    reference: dict[str, Any] = state({})
    since: int = state(-1)

    def __attrs_post_init__(self) -> None:
        if self.metric == self.second:
            raise ValueError(f"second: expected a metric other than {self.metric!r}, which it is to break ties of")
        if (self.examples is None) != (self.std_metric is None):
            missing = "examples" if self.examples is None else "std_metric"
            raise ValueError(f"{missing}: is expected too: the standard error is std_metric / sqrt(examples)")
        if self.stderr_metric is not None and self.std_metric is not None:
            raise ValueError("stderr_metric: expected either this or std_metric with examples, got both")
        if self.window < self.evaluations_needed:
            raise ValueError(f"window: must be at least evaluations_needed ({self.evaluations_needed})")

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        wanted = (self.metric, self.second, *(name for name in (self.stderr_metric, self.std_metric) if name))
        given = {name: value for name in wanted if (value := _finite(run, checkpoint.metrics, name)) is not None}
        if len(given) < len(wanted) or any(given[name] < 0 for name in wanted[2:]):
            return None
        if run.restarted_at is not None and run.restarted_at > self.since:
            self.since, self.reference = run.restarted_at, {}  # what comes cannot be compared with what was
        value = given[self.metric] if self.direction == "lower" else -given[self.metric]
        second = given[self.second] if self.second_direction == "lower" else -given[self.second]
        error = self._standard_error(run, given)
        if checkpoint.is_baseline:  # it is never best, so nothing can tie with it
            return Score(value, {self.metric: value})
        judged = judge(self._known(error), Reference(checkpoint.step, value, second, error))
        self.reference = asdict(judged.reference)
        return self._told(judged, value)

    def _standard_error(self, run: Run, given: Mapping[str, float]) -> float | None:
        if self.stderr_metric is not None:
            return given[self.stderr_metric]
        if self.std_metric is not None and self.examples is not None:
            return given[self.std_metric] / math.sqrt(self.examples)
        items = run.history[self.metric].finite().items(self.window)
        return wobble([value for step, value in items if step > self.since], self.evaluations_needed)

    def _known(self, error: float | None) -> Reference | None:
        """Return the reference; one from before the noise could be estimated takes the first estimate, and keeps it."""
        if not self.reference:
            return None
        reference = Reference(**self.reference)
        return evolve(reference, standard_error=error) if reference.standard_error is None else reference

    def _told(self, judged: Judged, value: float) -> Score:
        best = judged.reference
        if judged.verdict != "tied":
            return Score(judged.score, {self.metric: judged.score})
        because = (
            f"tied: {self.metric} is {abs(value - best.value):.3g} from that of step {best.step}, "
            f"within its standard error of {best.standard_error or 0.0:.3g}; {self.second} decides"
        )
        return Score(judged.score, {self.metric: best.value, self.second: judged.score - best.value}, because)


def _finite(run: Run, metrics: Mapping[str, float], name: str) -> float | None:
    value = metrics.get(name)
    if value is None:
        _ = run.history[name].latest  # remembered, and named at the end of the run if it never comes
        return None
    return value if math.isfinite(value) else None
