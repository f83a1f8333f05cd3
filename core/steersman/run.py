"""The read-only view of everything a strategy may look at; one object a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import define, frozen

from steersman.accounting.ledgers import Ledgers, Prices
from steersman.checkpoints import Checkpoint
from steersman.history import History
from steersman.hyperparameters import ReadOnly
from steersman.ranking import Ranking
from steersman.records import Record
from steersman.registry import Registry
from steersman.schedule import RunPlan
from steersman.tables import Table
from steersman.windows import Window, Windows

if TYPE_CHECKING:
    from steersman.rails import Mode


@define
class Progress:
    """Where the run stands; written by the supervisor."""

    step: int = 0
    epoch: float | None = None
    elapsed: float | None = None
    restarted_at: int | None = None

    def hear(self, record: Record) -> None:
        """Go on to a record; what it does not tell stays as it was."""
        self.step = record.step
        self.epoch = record.epoch if record.epoch is not None else self.epoch
        self.elapsed = record.elapsed if record.elapsed is not None else self.elapsed

    def skim(self, table: Table, row: int) -> None:
        """Go on to a row of a table."""
        self.step = table.steps[row]
        self.epoch = table.epochs[row] if table.epochs is not None else self.epoch


@frozen
class Adjustment:
    """A change that was made: at which step, by which strategy, from what to what, and what was read back.

    `factor` is the product of every change to it so far, `factor_before` that without this one. `peak` is the highest
    value of the user's own schedule, where there is one.
    """

    step: int
    epoch: float | None
    hyperparameter: str
    strategy: str
    old: float
    new: float
    read_back: float | None
    factor: float
    because: str
    factor_before: float = 1.0
    peak: float | None = None


class HyperparameterView:
    """`run.hyperparameters["learning_rate"].value`: None where it is not known."""

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, name: str) -> ReadOnly:
        return self._registry.view(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.entries)


class Run:
    """What a strategy may look at.

    `history[name]` are the metrics so far, `windows` those of the scheduled checks, `checkpoints` the evaluated
    checkpoints before this moment (at most 1024), `best` the best of the first scorer with an opinion, `ranked` all
    that may be best by it, best first, `saved` the paths of the checkpoints that are saved and still there, by step,
    `hyperparameters[name].value` the values in force, `adjustments` the newest 512 changes made, `ledgers` the tokens
    and seconds it took, `prices` what the config says of their cost, `replaying` whether the run is over and is only
    being looked at.
    """

    __slots__ = (
        "_adjustments",
        "_progress",
        "_ranking",
        "_windows",
        "history",
        "hyperparameters",
        "ledgers",
        "mode",
        "plan",
        "prices",
        "replaying",
    )

    def __init__(
        self,
        history: History,
        windows: Windows,
        ranking: Ranking,
        registry: Registry,
        progress: Progress,
        plan: RunPlan,
        mode: Mode,
        *,
        replaying: bool = False,
        ledgers: Ledgers | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.history = history
        self.ledgers = Ledgers() if ledgers is None else ledgers
        self.prices = prices or Prices()
        self.hyperparameters = HyperparameterView(registry)
        self.plan = plan
        self.mode: Mode = mode
        self.replaying = replaying
        self._windows = windows
        self._ranking = ranking
        self._progress = progress
        self._adjustments: tuple[Adjustment, ...] = ()

    @property
    def step(self) -> int:
        """Optimizer steps finished."""
        return self._progress.step

    @property
    def epoch(self) -> float | None:
        """Epochs finished, fractional; None where the trainer has none."""
        return self._progress.epoch

    @property
    def elapsed(self) -> float | None:
        """Seconds of training so far, over resumes; None where the log has no time."""
        return self._progress.elapsed

    @property
    def restarted_at(self) -> int | None:
        """The step from which on metrics can be compared with each other; None where it is the whole run."""
        return self._progress.restarted_at

    @property
    def windows(self) -> tuple[Window, ...]:
        return self._windows.closed

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._ranking.all()

    @property
    def best(self) -> Checkpoint | None:
        return self._ranking.best()

    @property
    def ranked(self) -> tuple[Checkpoint, ...]:
        return self._ranking.ranked()

    @property
    def saved(self) -> Mapping[int, str]:
        return self._ranking.there()

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        return self._adjustments


class WritableRun(Run):
    """The run as the supervisor sees it: strategies read, this adds."""

    __slots__ = ()

    def note_adjustment(self, adjustment: Adjustment) -> None:
        """Add a change to `adjustments`."""
        self._adjustments = (*self._adjustments, adjustment)[-512:]
