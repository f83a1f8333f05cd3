"""The schema of a config: attrs classes whose fields are the keys a user writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from steersman.config.layers import Layer
from steersman.config.structuring import options_of
from steersman.outcomes import Settings as OutcomeSettings
from steersman.rails import Bounds, Limits, Mode
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
    max: float | None = field(default=None, validator=within(-math.inf))
    min_factor: float | None = field(default=None, validator=within(0.0))
    max_factor: float | None = field(default=None, validator=within(0.0, open_below=True))
    owner: str | None = None
    largest_change: float | None = field(default=None, validator=within(0.0, open_below=True))
    cooldown: int | None = field(default=None, validator=within(0))
    budget: int | None = field(default=None, validator=within(0))

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


@frozen
class Config:
    """A whole config. `use` is in the order in which strategies are asked.

    `time_budget` is how many seconds a hook of a strategy may take; None is no limit. `layers` are what it was made of,
    the lowest first; `raw` is what they come to, which read alone gives the same config again.
    """

    mode: Mode = "advise"
    check_every: Literal["auto", "epoch", "eval"] | int = field(default="auto", validator=_positive)
    metrics: Mapping[str, str] = field(factory=dict[str, str])
    hyperparameters: Mapping[str, HyperparameterConfig] = field(factory=dict[str, HyperparameterConfig])
    rails: Limits = field(factory=Limits)
    outcomes: OutcomeSettings = field(factory=OutcomeSettings)
    recovery: RecoverySettings = field(factory=RecoverySettings)
    on_error: Literal["quarantine", "raise", "stop"] = "quarantine"
    quarantine_after: int = field(default=3, validator=within(1))
    time_budget: float | None = field(default=10.0, validator=within(0.0, open_below=True))
    force_logs: Literal["auto", "always", "never"] = "auto"
    keep_both_bests: bool = False
    journal: str | None = None
    console: bool = True
    logging: LoggingConfig = field(factory=LoggingConfig)
    use: tuple[Use, ...] = field(default=(), metadata={"steersman.structure": False})
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
