"""The schema of a config: attrs classes whose fields are the keys a user writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from steersman.accounting.budgets import Budget
from steersman.accounting.ledgers import Prices
from steersman.config.layers import Layer
from steersman.config.structuring import options_of
from steersman.outcomes import Settings as OutcomeSettings
from steersman.rails import Bounds, Limits, Mode
from steersman.reporters.sinks import Sink
from steersman.requirements import Requirement
from steersman.snapshots import RecoverySettings
from steersman.validating import within


def _positive(_: object, attribute: Any, value: int | str) -> None:
    if isinstance(value, int) and value < 1:
        raise ValueError(f"must be at least 1, got {value}")


@frozen
class Use:
    """One strategy the config names: an installed name, `path.py:Class`, or an object; under a name of its own.

    `on_error` and `time_budget` (seconds; infinite: no limit) hold for this one alone; None is what holds for all.
    """

    target: str
    name: str
    options: Mapping[str, Any] = field(factory=dict[str, Any])
    instance: object | None = None
    index: int = 0
    on_error: Literal["quarantine", "raise", "stop"] | None = None
    time_budget: float | None = None


@frozen
class HyperparameterConfig:
    """What may be done to one hyperparameter: absolute bounds, bounds of the product of changes, its sole owner.

    `largest_change`, `cooldown` and `budget` take the place of those under `rails:`.
    """

    min: float | None = field(default=None, validator=within(-math.inf))
    """The least value a change may lead to, in the unit of the hyperparameter."""
    max: float | None = field(default=None, validator=within(-math.inf))
    """The greatest value a change may lead to, in the unit of the hyperparameter."""
    min_factor: float | None = field(default=None, validator=within(0.0))
    """The least product of all changes, as a factor of your own value or schedule."""
    max_factor: float | None = field(default=None, validator=within(0.0, open_below=True))
    """The greatest product of all changes, as a factor of your own value or schedule."""
    owner: str | None = None
    """The one strategy that may change it, by its name in the run."""
    largest_change: float | None = field(default=None, validator=within(0.0, open_below=True))
    """The share of itself by which one change moves it at most, in place of that under `rails`."""
    cooldown: int | None = field(default=None, validator=within(0))
    """Scheduled checks between two changes of it, in place of those under `rails`."""
    budget: int | None = field(default=None, validator=within(0))
    """Changes of it that a run may have, in place of those under `rails`."""

    def bounds(self) -> Bounds:
        """Return the bounds the arbiter keeps to."""
        return Bounds(
            -math.inf if self.min is None else self.min,
            math.inf if self.max is None else self.max,
            self.min_factor or 0.0,
            math.inf if self.max_factor is None else self.max_factor,
            self.owner,
            self.largest_change,
            self.cooldown,
            self.budget,
        )


@frozen
class LoggingConfig:
    """The origin's own switches."""

    epoch_health_check_enabled: bool = True
    """Whether health is checked at all; without it scoring stays."""


@frozen
class Config:
    """A whole config. `use` is in the order in which strategies are asked.

    `require` is what a checkpoint must have to be best, as `score:` says. `time_budget` is how many seconds a hook of a
    strategy may take; None is no limit. `layers` are what it was made of,
    the lowest first; `raw` is what they come to, which read alone gives the same config again.
    """

    mode: Mode = "advise"
    """What it may do: `observe` nothing, `advise` say, `ask` change once a person approves, `act` change by itself."""
    check_every: Literal["auto", "epoch", "eval"] | int = field(default="auto", validator=_positive)
    """When health is looked at: each evaluation, each epoch, or so many steps; `auto` as often as there is reason."""
    metrics: Mapping[str, str] = field(factory=dict[str, str])
    """Names of metrics in your logs, each with the name that strategies know it by: `{train/ce: loss}`."""
    hyperparameters: Mapping[str, HyperparameterConfig] = field(factory=dict[str, HyperparameterConfig])
    """What may be changed in `ask` and `act`, and how far. What is not named here is never written."""
    rails: Limits = field(factory=Limits)
    """What holds for every change of a run, whatever proposes it."""
    outcomes: OutcomeSettings = field(factory=OutcomeSettings)
    """When a change is judged, taken back and released."""
    recovery: RecoverySettings = field(factory=RecoverySettings)
    """Where the healthy states lie to which a rollback returns, and what it does."""
    budget: Budget = field(factory=Budget)
    """What the run may take at most; it stops with a checkpoint where a limit is reached, but in `observe`."""
    prices: Prices = field(factory=Prices)
    """Prices per million tokens, for costs."""
    on_error: Literal["quarantine", "raise", "stop"] = "quarantine"
    """What the failure of a strategy leads to: it rests after some, the run ends with the error, or the run stops."""
    quarantine_after: int = field(default=3, validator=within(1))
    """After how many failures a strategy rests."""
    time_budget: float | None = field(default=10.0, validator=within(0.0, open_below=True))
    """Seconds that a hook of a strategy may take; null is no limit."""
    force_logs: Literal["auto", "always", "never"] = "auto"
    """Whether a log is made at each evaluation and save, so that train losses are fresh; `auto`: in `act` only."""
    keep_both_bests: bool = False
    """Whether the best by score and the best by eval loss are both kept on disk."""
    journal: str | None = None
    """Where the journal is written; null is steersman/journal.jsonl in the output directory."""
    console: bool = True
    """Whether anything is printed."""
    report_to: Literal["auto", "none"] | tuple[Sink, ...] = "auto"
    """The trackers that are told: `auto` is where the trainer itself reports, though not in `observe`; or a list."""
    logging: LoggingConfig = field(factory=LoggingConfig)
    """The origin's own switches."""
    use: tuple[Use, ...] = field(default=(), metadata={"steersman.structure": False})
    require: tuple[Requirement, ...] = field(default=(), metadata={"steersman.structure": False})
    source: str = field(default="no config", metadata={"steersman.structure": False})
    folder: Path = field(factory=Path.cwd, metadata={"steersman.structure": False})
    raw: Mapping[str, Any] = field(factory=dict[str, Any], metadata={"steersman.structure": False})
    layers: tuple[Layer, ...] = field(default=(), metadata={"steersman.structure": False})

    @property
    def allowed(self) -> dict[str, Bounds]:
        """The hyperparameters that may be written in `act`, with their bounds."""
        return {name: settings.bounds() for name, settings in self.hyperparameters.items()}


KEYS = (*options_of(Config), "use", "without", "score", "extends")
"""Every key a config may have at its top."""
