"""The strategy: a score at each evaluation, what it was read by, and the Pareto front at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from attrs import define, field, validators

from steersman import Check, Checkpoint, Evaluation, Finding, Run, Score, hookimpl, state
from steersman_pareto.constraints import Constraint, constraint_of
from steersman_pareto.front import front_of
from steersman_pareto.objectives import Objective, Scale, scale_of, tchebycheff, weighted_sum


@define(eq=False)
class Pareto:
    """Score a checkpoint by several metrics under hard constraints, and name the Pareto front at the end of the run.

    Every metric is read on a scale that is 1 at its nadir and 0 at its ideal; the score is the weighted mean. A score
    is given once and ranks against those given before, so a scale must never move: it is fixed by the reference
    points in the options, else once and for all by the first value of the metric in the run, which is its nadir (the
    baseline, where the run evaluates at step 0) and whose distance to the ideal is the unit. Ranges of the values so
    far, the usual normalisation, would rank early checkpoints on another scale than late ones. Where no ideal is given
    it is 0 for lower is better, and 1 for higher is better from within [0, 1). A metric that begins near its ideal,
    as a KL divergence does, needs a `nadir`. The scales are said once.

    The default is the weighted mean because its ranking depends on the units alone and each of its optima is Pareto
    optimal. `tchebycheff`, the largest weighted value, also reaches the parts of the front that are not convex and lets
    no objective pay for another, but its ranking hangs on both reference points, so it asks for them in the options.

    A metric of an objective that is missing or not finite: no opinion. A metric of a constraint that is: rejected, for
    a constraint that nobody checked is not kept.

    Sources: Miettinen (1999), Nonlinear Multiobjective Optimization; Wierzbicki (1980), The Use of Reference Objectives
    """

    objectives: Mapping[str, float | Objective] = field(factory=dict[str, float | Objective])
    """The metrics to be good at: a weight each, or a table of weight, direction, ideal and nadir."""
    require: Mapping[str, str] = field(factory=dict[str, str])
    """What a checkpoint must keep to be best: `{eval_safety: ">= 0.92"}`."""
    scalarization: Literal["weighted-sum", "tchebycheff"] = "weighted-sum"
    """How several values become one."""
    augmentation: float = field(default=0.01, validator=[validators.gt(0), validators.le(1)])
    """How much the sum of all objectives counts beside the worst one, with `tchebycheff`; small, to decide ties."""
    listed: int = field(default=8, validator=[validators.ge(1), validators.le(64)])
    """How many checkpoints of the Pareto front are named at the end, the best by score first."""

    first: dict[str, float] = state({})
    said: bool = state(False)

    def __attrs_post_init__(self) -> None:
        if not self.objectives:
            raise ValueError("objectives names no metric; expected at least one, such as {eval_loss: 1}")
        for name, objective in self._wanted().items():
            if self.scalarization == "tchebycheff" and (objective.ideal is None or objective.nadir is None):
                raise ValueError(f"{name}: tchebycheff needs its `ideal` and its `nadir`")
        self._required()

    @hookimpl
    def on_eval(self, evaluation: Evaluation) -> None:
        values = {name: evaluation.metrics[name] for name in self.objectives if name in evaluation.metrics}
        new = {name: v for name, v in values.items() if name not in self.first and math.isfinite(v)}
        self.first = {**self.first, **new}

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        metrics = checkpoint.metrics
        for name in (*self.require, *self.objectives):
            if name not in metrics:
                _ = run.history[name].latest  # remembered, and named at the end of the run if it never comes
        broken = self._broken(metrics)
        return Score.reject(broken) if broken else self._score(metrics)

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        scales = self._scales()
        if not self.said and len(scales) == len(self.objectives):
            self.said = True
            told = [
                f"{name} is 1 at {s.nadir:.4g} and 0 at {s.nadir - s.sign * s.unit:.4g}" for name, s in scales.items()
            ]
            units: dict[str, float | str | None] = {name: s.unit for name, s in scales.items()}
            yield Finding("pareto-scale", f"for the rest of the run {', '.join(told)}", "info", units)
        if check.reason == "end":
            yield from self._at_the_end(run)

    def _at_the_end(self, run: Run) -> Iterator[Finding]:
        since = run.restarted_at or 0
        evaluated = [c for c in run.checkpoints if not c.is_baseline]
        evaluated = [c for c in evaluated if c.step > since] or evaluated
        kept = [c for c in evaluated if not self._broken(c.metrics)]
        if evaluated and not kept:
            why = self._broken(evaluated[-1].metrics)
            yield Finding(
                "no-checkpoint-allowed", f"none of {len(evaluated)} checkpoints keeps every constraint: {why}"
            )
        scored = [(c, score) for c in kept if (score := self._score(c.metrics)) is not None]
        signs = {name: objective.sign for name, objective in self._wanted().items()}
        front = front_of([tuple(sign * c.metrics[name] for name, sign in signs.items()) for c, _ in scored])
        if not front:
            return
        best = sorted((scored[i] for i in front), key=lambda pair: (pair[1].value, pair[0].step))[: self.listed]
        values = {c.step: ", ".join(f"{name} {c.metrics[name]:.4g}" for name in self.objectives) for c, _ in best}
        shown = "; ".join(f"step {step} ({told})" for step, told in values.items())
        more = f", the best {len(best)} by score" if len(best) < len(front) else ""
        message = f"{len(front)} of {len(scored)} checkpoints are on the Pareto front{more}: {shown}"
        yield Finding("pareto-front", message, "info", {f"step {step}": told for step, told in values.items()})

    def _score(self, metrics: Mapping[str, float]) -> Score | None:
        scales = self._scales()
        if any(name not in scales or not math.isfinite(metrics.get(name, math.nan)) for name in self.objectives):
            return None
        read = {name: scale.read(metrics[name]) for name, scale in scales.items()}
        weights = {name: objective.weight for name, objective in self._wanted().items()}
        if self.scalarization == "weighted-sum":
            terms = weighted_sum(read, weights)
        else:
            terms = tchebycheff(read, weights, self.augmentation)
        value = sum(terms.values())
        return Score(value, terms) if math.isfinite(value) else None

    def _broken(self, metrics: Mapping[str, float]) -> str:
        broken = (c.broken_by(name, metrics.get(name)) for name, c in self._required().items())
        return "; ".join(why for why in broken if why)

    def _scales(self) -> dict[str, Scale]:
        """Return the scale of each objective that has one."""
        found = ((name, scale_of(objective, self.first.get(name))) for name, objective in self._wanted().items())
        return {name: scale for name, scale in found if scale is not None}

    def _wanted(self) -> dict[str, Objective]:
        wanted: dict[str, Objective] = {}
        for name, given in self.objectives.items():
            try:
                wanted[name] = given if isinstance(given, Objective) else Objective(given)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return wanted

    def _required(self) -> dict[str, Constraint]:
        required: dict[str, Constraint] = {}
        for name, text in self.require.items():
            try:
                required[name] = constraint_of(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        return required
