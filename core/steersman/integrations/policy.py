"""What a config asks for, read and loaded once, fresh for each run; on several ranks it is rank 0 that reads it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from attrs import evolve

from steersman.config import Config, ConfigError, read
from steersman.config.reading import Source
from steersman.hyperparameters import SAFER, Hyperparameter, base_of
from steersman.integrations.torch.ranks import current_ranks, is_probably_main
from steersman.journal import to_json
from steersman.loaded import Loaded
from steersman.loading import load
from steersman.logs import logger
from steersman.spelling import did_you_mean
from steersman.strategies import restore_state, state_of
from steersman.teacher import Teacher

OFF_SWITCH = "STEERSMAN_DISABLED"


class Policy:
    """A config and its strategies. Only rank 0 needs either: the others hear of it when a run begins.

    Where the environment switches Steersman off, neither is looked at.

    `config` is the default on another rank until then. `teacher` records the calls to a teacher that the run makes.
    Raises ConfigError at construction, with every fault at once.
    """

    def __init__(self, config: Source, own: Sequence[Hyperparameter] = (), teacher: Teacher | None = None) -> None:
        self.own = tuple(own)
        if not isinstance(teacher, Teacher | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"`teacher` takes a steersman.Teacher(), got {type(teacher).__name__}")
        self.teacher = Teacher() if teacher is None else teacher
        strangers = [h for h in self.own if not isinstance(h, Hyperparameter)]  # pyright: ignore[reportUnnecessaryIsInstance]
        if strangers:
            raise TypeError(f"`hyperparameters` takes steersman.Hyperparameter(name, get, set), got {strangers[0]!r}")
        self._source = config
        self._first: tuple[Loaded, ...] | None = None
        self.config = Config()
        if is_probably_main() and not _says_off():
            self._load()

    def begin(self) -> tuple[Config, tuple[Loaded, ...]]:
        """Return the config and the strategies of a new run, with the state they begin with.

        Every rank must call it at the same point. Where the process is rank 0 against what its launcher told, the
        config is read here, and ConfigError is raised here, on every rank.
        """
        ranks = current_ranks()
        strategies: tuple[Loaded, ...] = ()

        def told() -> tuple[Config, tuple[Loaded, ...]]:
            nonlocal strategies
            strategies = self._strategies()
            return _sendable(self.config), tuple(loaded.elsewhere() for loaded in strategies)

        config, elsewhere = ranks.agree(told)
        if ranks.is_main:
            return self.config, strategies
        self.config = config
        return config, elsewhere

    def _load(self) -> tuple[Loaded, ...]:
        problems: list[str] = []
        self.config = read(self._source, problems)
        names = [h.name for h in self.own]
        problems += [
            f"two hyperparameters of your own are called {n!r}" for n in sorted({*names}) if names.count(n) > 1
        ]
        known = [*SAFER, *(hyperparameter.name for hyperparameter in self.own)]
        for name in self.config.hyperparameters:
            if base_of(name) not in known:
                problems.append(f"$.hyperparameters.{name}: there is no such hyperparameter{did_you_mean(name, known)}")
        self._first = load(self.config, problems)
        if problems:
            raise ConfigError(self.config.source, problems)
        self._fresh = {loaded.name: state_of(loaded.strategy) for loaded in self._first}
        return self._first

    def _strategies(self) -> tuple[Loaded, ...]:
        first = self._load() if self._first is None else self._first
        strategies = load(self.config, []) if any(u.instance is None for u in self.config.use) else first
        for loaded in strategies:
            restore_state(loaded.strategy, self._fresh[loaded.name])
        return strategies


def _sendable(config: Config) -> Config:
    """Return a config as another process can read it: without strategies, which run on rank 0 only."""
    return evolve(config, use=(), raw=to_json(config.raw), layers=())


def _says_off() -> bool:
    return os.environ.get(OFF_SWITCH, "") not in ("", "0")


def is_switched_off() -> bool:
    """Whether the environment switches Steersman off; said in the log. On several ranks that of rank 0 counts."""
    if not current_ranks().agree(_says_off):
        return False
    logger().warning("steersman is switched off", variable=OFF_SWITCH)
    return True
