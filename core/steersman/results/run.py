"""What is told of one replayed run: plain values that pickle, print as JSON and make tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from steersman.checkpoints import TrainLoss
from steersman.decisions import Severity

LOWEST_EVAL_LOSS = "lowest eval loss"
LAST = "last evaluation"


@frozen
class Choice:
    """The checkpoint that somebody keeps. `value` is its score (lower is better), None where it has none.

    `path` is its directory, None where it is not known to be saved.
    """

    step: int
    value: float | None = None
    path: str | None = None
    eval_loss: float | None = None


@frozen
class ScoreGiven:
    """A score that a strategy gave to the checkpoint of `step`; lower is better."""

    step: int
    strategy: str
    value: float
    terms: Mapping[str, float] = field(factory=dict[str, float])
    train_loss: TrainLoss | None = None


@frozen
class FindingMade:
    """What a strategy noticed at `step`, with the figures that show it."""

    step: int
    strategy: str
    name: str
    severity: Severity
    message: str
    evidence: Mapping[str, float | str | None] = field(factory=dict[str, "float | str | None"])


@frozen
class ProposalMade:
    """What a strategy would have changed at `step`, and what the arbiter ruled.

    `change` is `x0.8` or `+0.02` of a hyperparameter, else `stop`, `save` or `rollback`.
    """

    step: int
    strategy: str
    hyperparameter: str | None
    change: str
    verdict: str
    reason: str


@frozen
class TaskMetric:
    """A metric of the task at each checkpoint that somebody keeps.

    `at` holds it by chooser: each scorer, `lowest eval loss`, `last evaluation`. `best` is the best of all evaluated.
    """

    name: str
    higher_is_better: bool
    best: float
    at: Mapping[str, float]


@frozen
class StopAsked:
    """A stop that a strategy asked for: `steps_saved` is how many steps came after it.

    `better_after` is the step of a better checkpoint (by the deciding scorer) that it would have given up, or None.
    """

    step: int
    strategy: str
    steps_saved: int
    better_after: int | None = None


@frozen
class ReplayedRun:
    """What the strategies would have decided in one finished run; `error` says why it could not be read.

    `source` is the log that was read, and `as_of` marks how it was then: a run that has gone on since has another mark.
    """

    path: str
    format: str | None = None
    records: int = 0
    evaluations: int = 0
    last_step: int = 0
    error: str | None = None
    choices: Mapping[str, Choice] = field(factory=dict[str, Choice])
    lowest_eval_loss: Choice | None = None
    last_evaluation: Choice | None = None
    scores: tuple[ScoreGiven, ...] = ()
    findings: tuple[FindingMade, ...] = ()
    proposals: tuple[ProposalMade, ...] = ()
    task_metrics: tuple[TaskMetric, ...] = ()
    stops: tuple[StopAsked, ...] = ()
    errors: tuple[Mapping[str, Any], ...] = ()
    never_came: Mapping[str, str | None] = field(factory=dict[str, "str | None"])
    left_out: tuple[str, ...] = ()
    source: str | None = None
    as_of: str = field(default="", eq=False)
    unknown_direction: tuple[str, ...] = ()
    """Metrics of the evaluations that may be of the task, and nobody said which way they are better."""
    notes: tuple[str, ...] = ()
    """Sentences about the reading: what was passed over because it is damaged, and what was left out."""

    @property
    def alarms(self) -> int:
        """How many findings say that something is wrong."""
        return sum(finding.severity != "info" for finding in self.findings)

    @property
    def alarms_per_thousand_steps(self) -> float | None:
        """Alarms per thousand steps of the run; None where it has no step."""
        return 1000 * self.alarms / self.last_step if self.last_step else None
