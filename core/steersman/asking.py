"""Who is asked of a finished run: a config for all runs, read once, or each run's own."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from steersman.config import Config, ConfigError, read
from steersman.config.reading import Source
from steersman.journal import to_json
from steersman.loaded import Loaded
from steersman.loading import load
from steersman.readers.recording import Recording


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
    _settings: Config | None = field(default=None, init=False)

    @property
    def is_given(self) -> bool:
        """Whether all runs are asked the same: a supervised run is not asked as it was."""
        return self.config is not None or bool(self.use)

    @property
    def metric_names(self) -> Mapping[str, str]:
        """The `metrics:` of the config that was given, by the names that a log has."""
        self.prepare()
        return self._settings.metrics if self._settings is not None else {}

    def prepare(self) -> None:
        """Read the config that was given. Raises ConfigError with every fault of it and of its strategies."""
        if self.is_given and self._settings is None:
            try:
                settings, _ = self._load(self._source(), self.folder, self.environment)
            except ConfigError as error:
                raise ConfigError(self.source, error.problems) from None
            if self.use:  # what `score:` weighs is a strategy of the config too; what it requires holds
                settings = evolve(settings, use=tuple(use for use in settings.use if use.index >= 0))
            self._settings = evolve(settings, source=self.source)

    def of(self, recording: Recording) -> tuple[Config, tuple[Loaded, ...]]:
        """Return the config to look at a run with, and its strategies, made afresh for this run."""
        self.prepare()
        if self._settings is not None:
            return self._settings, load(self._each_afresh(self._settings), [], effects=self.effects)
        if recording.config is None:
            return self._load(None, self.folder, None)
        try:
            settings, strategies = self._load(recording.config, recording.config_folder, {})
            source = "the run's own"
        except ConfigError as error:
            settings, strategies = self._load(None, self.folder, None)
            source = f"the default, because the run's own cannot be loaded here: {error.problems[0]}"
        return evolve(settings, source=source), strategies

    def names(self) -> tuple[str, ...]:
        """Return the strategies asked, in their order; where each run is asked as it was, those of the default."""
        self.prepare()
        settings = self._settings or self._load(None, self.folder, None)[0]
        return tuple(use.name for use in settings.use)

    def mark(self) -> str:
        """Return twelve characters that differ where what is asked does: the config, a strategy's code, a value."""
        self.prepare()
        if self._settings is not None:
            settings, strategies = self._settings, load(self._settings, [], effects=self.effects)
        else:  # each run is asked as it was, so only the default can differ
            settings, strategies = self._load(None, self.folder, None)
        told = {
            "version": metadata.version("steersman"),
            "config": settings.raw,
            "own": not self.is_given,
            "values": self.values,
            "effects": self.effects,
            "strategies": [(s.name, s.source.version, s.source.sha256, s.options) for s in strategies],
        }
        return hashlib.sha256(json.dumps(to_json(told), sort_keys=True).encode()).hexdigest()[:12]

    def _each_afresh(self, settings: Config) -> Config:
        if not self.afresh or all(use.instance is None for use in settings.use):
            return settings
        copies = (evolve(use, instance=copy.deepcopy(use.instance)) for use in settings.use)
        return evolve(settings, use=tuple(copies))

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

    def _load(
        self, source: Source, folder: Path | None, environment: Mapping[str, str] | None
    ) -> tuple[Config, tuple[Loaded, ...]]:
        """Return a config and its strategies. Raises ConfigError with every fault of both."""
        problems: list[str] = []
        settings = read(source, problems, folder=folder, environment=environment)
        strategies = load(settings, problems, effects=self.effects)
        if problems:
            raise ConfigError(settings.source, problems)
        return settings, strategies
