"""The strategy: its options, what it remembers, and its hooks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from attrs import define, field, validators

from steersman import Check, Checkpoint, Finding, Record, Run, Stop, hookimpl, state
from steersman_early_stopping.budgets import Budgets
from steersman_early_stopping.patience import Direction, averaged, improves, used, without


@define(eq=False)
class EarlyStopping:
    """Propose to stop when a metric has not improved for `patience` evaluations, or when a budget is spent.

    An evaluation that is NaN or infinite is one without improvement. A metric that only training logs hold is judged
    at each scheduled check, by its mean since the last.
    Source: Prechelt (1998), Early Stopping - But When?; it counts as Keras' EarlyStopping does.
    """

    metric: str | None = "eval_loss"
    """What must improve: any logged metric, `score` for the score of a scorer, null for budgets alone."""

    direction: Direction = "lower"
    """Which way the metric is better; a score is always better when lower."""

    scorer: str = ""
    """Whose score is judged, by its name under `use:`; where none is named, the first that has an opinion."""

    patience: int = field(default=5, validator=validators.ge(1))
    """How many evaluations in a row may pass without improvement; 5 because a loss curve has many local minima."""

    min_delta: float = field(default=0.0, validator=validators.ge(0))
    """By more than how much an improvement must be better, in the unit of the metric; 0 because any counts."""

    min_relative_delta: float = field(default=0.0, validator=validators.ge(0))
    """The same as a share of the best value so far; the larger of the two holds."""

    smoothing: float = field(default=0.0, validator=[validators.ge(0), validators.lt(1)])
    """Judge a moving average in which an evaluation weighs this much against the one after it; 0 smooths nothing."""

    warmup_evaluations: int = field(default=0, validator=validators.ge(0))
    """How many evaluations of the metric pass before the first that is judged."""

    warmup_steps: int = field(default=0, validator=validators.ge(0))
    """Before which step no evaluation is judged."""

    max_hours: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    """After how many hours of training, over resumes, to stop; null is no limit."""

    max_tokens: int | None = field(default=None, validator=validators.optional(validators.gt(0)))
    """After how many tokens to stop; null is no limit."""

    token_ledger: Literal["backpropagation", "generation", "both"] = "backpropagation"
    """Which tokens: trained on, generated, or `both` added up, where one generated and trained on counts twice."""

    best: float | None = state(None)
    best_step: int = state(-1)
    newest: float | None = state(None)
    step: int = state(-1)
    waited: int = state(0)
    seen: int = state(0)
    total: float = state(0.0)
    weight: float = state(0.0)
    leader: str = state("")
    comes_evaluated: bool = state(False)
    is_told: bool = state(True)
    tokens: int = state(0)

    def __attrs_post_init__(self) -> None:
        if self.metric is None and self.max_hours is None and self.max_tokens is None:
            raise ValueError("this would never stop a run: expected a metric, max_hours or max_tokens")
        if self.scorer and self.metric != "score":
            raise ValueError(f"scorer {self.scorer!r} is named, so metric must be 'score', got {self.metric!r}")
        if self.metric == "score" and self.direction == "higher":
            raise ValueError("a score is better when lower, so direction must be 'lower' with metric 'score'")

    @property
    def budgets(self) -> Budgets:
        """What the run may cost."""
        return Budgets(self.max_hours, self.max_tokens, self.token_ledger)

    @hookimpl
    def on_train_begin(self, run: Run) -> None:
        if self.metric is not None and self.metric != "score":
            _ = run.history[self.metric]  # asked for, so that the summary names it if it never comes

    @hookimpl
    def on_log(self, run: Run, log: Record) -> None:
        wanted = ("backpropagation", "generation") if self.token_ledger == "both" else (self.token_ledger,)
        self.tokens += sum(usage.tokens for usage in log.usage if usage.ledger in wanted)

    @hookimpl
    def on_checkpoint_scored(self, run: Run, checkpoint: Checkpoint) -> None:
        value = self._value(checkpoint)
        if value is not None and checkpoint.step > self.step:  # sets of one step may come one by one
            self.comes_evaluated = True
            self._judge(run, checkpoint.step, value)

    @hookimpl
    def on_rolled_back(self) -> None:
        self.waited, self.total, self.weight = 0, 0.0, 0.0  # of weights that were given up; the best was reached

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Iterator[Finding]:
        window = check.window
        if window is not None and check.reason == "scheduled" and self.metric and not self.comes_evaluated:
            mean = math.nan if window.has_diverged(self.metric) else window.mean(self.metric)
            if mean is not None:
                self._judge(run, check.step, mean)
        if not self.is_told:
            self.is_told = True
            evidence = {"waited": self.waited, "patience": self.patience, "newest": self.newest, "best": self.best}
            waited = f"{self.waited} of {self.patience} {self._unit}"
            message = used(self._name, self.step, self.newest, waited, self.best, self.best_step)
            yield Finding("patience", message, "info", evidence)
        if check.reason == "end" and run.step > 0:
            for sentence in self.budgets.uncounted(run.elapsed, self.tokens):
                yield Finding("uncounted-budget", sentence)
            if self.metric == "score" and not self.seen and run.checkpoints:
                scorers = ", ".join(dict.fromkeys(name for c in run.checkpoints for name in c.scores)) or "none"
                whose = self.scorer or "any scorer"
                yield Finding("no-score", f"no evaluation had a score of {whose}; the scorers are {scorers}")

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> Stop | None:
        # Proposed at every check for as long as it holds, in the same words: in mode `ask` each is a new chance to say
        # yes. It is not latched: a run that nobody stopped and that improved after all has no reason to stop any more.
        self._forget_what_cannot_be_compared(run)
        reasons = list(self.budgets.spent(run.elapsed, self.tokens))
        if self.waited >= self.patience:
            reasons.append(f"{self._name}: {self.patience} {self._unit} {without(self.best, self.best_step)}")
        return Stop("; ".join(reasons)) if reasons else None

    def _value(self, checkpoint: Checkpoint) -> float | None:
        if self.metric != "score":
            return checkpoint.metrics.get(self.metric or "")
        # Scores of two scorers cannot be compared, so the one that was first stays the one that is judged.
        self.leader = self.scorer or self.leader or checkpoint.scorer or ""
        score = checkpoint.scores.get(self.leader)
        return None if score is None else score.value

    def _judge(self, run: Run, step: int, value: float) -> None:
        self._forget_what_cannot_be_compared(run)
        self.step, self.seen = step, self.seen + 1
        if self.seen <= self.warmup_evaluations or step < self.warmup_steps:
            return
        self.is_told, self.newest = False, None
        if math.isfinite(value):
            self.total, self.weight = averaged(self.total, self.weight, value, self.smoothing)
            value = self.newest = self.total / self.weight
        if improves(
            value,
            self.best,
            direction=self.direction,
            min_delta=self.min_delta,
            min_relative_delta=self.min_relative_delta,
        ):
            self.best, self.best_step, self.waited = value, step, 0
        else:
            self.waited += 1

    def _forget_what_cannot_be_compared(self, run: Run) -> None:
        if run.restarted_at is not None and self.step <= run.restarted_at:
            self.best, self.best_step, self.waited, self.total, self.weight = None, -1, 0, 0.0, 0.0

    @property
    def _name(self) -> str:
        return f"smoothed {self.metric}" if self.smoothing else f"{self.metric}"

    @property
    def _unit(self) -> str:
        return "evaluations" if self.comes_evaluated else "checks"
