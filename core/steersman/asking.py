"""Who is asked of a finished run: a config for all runs, read once, or each run's own."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from steersman.config import ConfigError, read
from steersman.config.reading import Source
from steersman.journal import to_json
from steersman.planned import Planned, plan
from steersman.readers.recording import Recording
from steersman.results.run import LAST, LOWEST_EVAL_LOSS


def one_or_several(use: str | Sequence[object]) -> tuple[object, ...]:
    """Return the entries of `use`; a name alone is one."""
    return (use,) if isinstance(use, str) else tuple(use)


@define(eq=False)
class Asking:
    """What a replay asks. `use`, where given, takes the place of the strategies of the config.

    `values` are hyperparameters that no log holds. With `afresh` a strategy given as an object is copied for each run,
    so that none remembers another's. It can be sent to another process.
    """

    config: Source = None
    use: tuple[object, ...] = ()
    values: Mapping[str, float] = field(factory=dict[str, float])
    folder: Path | None = None
    effects: bool = field(default=False, kw_only=True)
    environment: Mapping[str, str] | None = field(default=None, kw_only=True)
    afresh: bool = field(default=False, kw_only=True)
    _given: Planned | None = field(default=None, init=False)
    _default: Planned | None = field(default=None, init=False)
    _own: tuple[str, Planned] | None = field(default=None, init=False)

    @property
    def is_given(self) -> bool:
        """Whether all runs are asked the same: a supervised run is not asked as it was."""
        return self.config is not None or bool(self.use)

    @property
    def metric_names(self) -> Mapping[str, str]:
        """The `metrics:` of the config that was given, by the names that a log has."""
        self.prepare()
        return self._given.config.metrics if self._given is not None else {}

    def __attrs_post_init__(self) -> None:
        wrong = [f"{name}={value!r}" for name, value in self.values.items() if not _is_number(value)]
        if wrong:
            raise ValueError(
                f"`values` are finite numbers by name, such as {{'kl_penalty': 0.1}}, got {', '.join(wrong)}"
            )

    def prepare(self) -> None:
        """Read the config that was given. Raises ConfigError with every fault of it and of its strategies."""
        if self.is_given and self._given is None:
            try:
                self._given = self._plan(self._source(), self.folder, self.environment)
            except ConfigError as error:
                named = self.source if self.config is not None else "the strategies given by `use`"
                raise ConfigError(named, error.problems) from None
            self._given = evolve(self._given, config=evolve(self._given.config, source=self.source))

    def of(self, recording: Recording) -> Planned:
        """Return the config to look at a run with, planned, whose strategies are `fresh` for each run."""
        self.prepare()
        if self._given is not None:
            return self._given
        if recording.config is None:
            return self._default_plan()
        try:
            made = self._own_plan(recording.config, recording.config_folder)
            source = "the run's own"
        except ConfigError as error:
            made = self._default_plan()
            source = f"the default, because the run's own cannot be loaded here: {error.problems[0]}"
        return evolve(made, config=evolve(made.config, source=source))

    def names(self) -> tuple[str, ...]:
        """Return the strategies asked, in their order; where each run is asked as it was, those of the default."""
        self.prepare()
        return tuple(use.name for use in (self._given or self._default_plan()).config.use)

    def mark(self) -> str:
        """Return twelve characters that differ where what is asked does: the config, a strategy's code, a value."""
        self.prepare()
        made = self._given or self._default_plan()  # where each run is asked as it was, only the default can differ
        told = {
            "version": metadata.version("steersman"),
            "config": made.config.raw,
            "own": not self.is_given,
            "values": self.values,
            "effects": self.effects,
            "strategies": [(s.name, s.source.version, s.source.sha256, s.options) for s in made.strategies],
        }
        return hashlib.sha256(json.dumps(to_json(told), sort_keys=True).encode()).hexdigest()[:12]

    def __getstate__(self) -> dict[str, Any]:
        kept = ("config", "use", "values", "folder", "effects", "environment", "afresh")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(  # type: ignore[misc]
            state["config"],
            state["use"],
            state["values"],
            state["folder"],
            effects=state["effects"],
            environment=state["environment"],
            afresh=state["afresh"],
        )

    def _source(self) -> Source:
        """Return the config with the strategies of `use` in place of its own."""
        if not self.use:
            return self.config
        below: Mapping[str, Any]
        if isinstance(self.config, Mapping):
            below = self.config
        else:
            below = {} if self.config is None else {"extends": str(Path(self.config).expanduser().resolve())}
        return {**below, "use": list(self.use)}

    @property
    def source(self) -> str:
        """Where what is asked comes from, in words."""
        given = "none given, so the defaults" if self.config is None else None
        base = given or ("the config given in Python" if isinstance(self.config, Mapping) else str(self.config))
        return f"{base}, its strategies replaced" if self.use and self.config is not None else base

    def _default_plan(self) -> Planned:
        self._default = self._default or self._plan(None, self.folder, None)
        return self._default

    def _own_plan(self, config: Mapping[str, Any], folder: Path | None) -> Planned:
        """Return the plan of a run's own config; runs of one config, one after the other, share it."""
        key = json.dumps([to_json(config), str(folder)], sort_keys=True)
        if self._own is None or self._own[0] != key:
            self._own = key, self._plan(config, folder, {})
        return self._own[1]

    def _plan(self, source: Source, folder: Path | None, environment: Mapping[str, str] | None) -> Planned:
        """Return a config and its strategies. Raises ConfigError with every fault of both."""
        problems: list[str] = []
        settings = read(source, problems, folder=folder, environment=environment)
        if self.use:  # what `score:` weighs is a strategy of the config too; what it requires holds
            settings = evolve(settings, use=tuple(use for use in settings.use if use.index >= 0))
        for name in {use.name for use in settings.use} & {LOWEST_EVAL_LOSS, LAST}:
            problems.append(f"$.use: {name!r} is what is chosen without a strategy; give it another name")
        made = plan(settings, problems, effects=self.effects, copies=self.afresh)
        if made is None or problems:
            raise ConfigError(settings.source, problems)
        return made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
