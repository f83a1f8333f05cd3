"""What a config asks for, read and loaded once, fresh for each run."""

from __future__ import annotations

import os
from collections.abc import Sequence

from steersman.config import ConfigError, read
from steersman.config.reading import Source
from steersman.dispatch import Loaded
from steersman.hyperparameters import SAFER, Hyperparameter, base_of
from steersman.loading import load
from steersman.logs import logger
from steersman.spelling import did_you_mean
from steersman.strategies import restore_state, state_of

OFF_SWITCH = "STEERSMAN_DISABLED"


class Policy:
    """A config and its strategies.

    Raises ConfigError at construction, with every fault at once.
    """

    def __init__(self, config: Source, own: Sequence[Hyperparameter] = ()) -> None:
        problems: list[str] = []
        self.config = read(config, problems)
        self.own = tuple(own)
        strangers = [h for h in self.own if not isinstance(h, Hyperparameter)]  # pyright: ignore[reportUnnecessaryIsInstance]
        if strangers:
            raise TypeError(f"`hyperparameters` takes steersman.Hyperparameter(name, get, set), got {strangers[0]!r}")
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

    def strategies(self) -> tuple[Loaded, ...]:
        """Return the strategies for a new run, with the state they begin with."""
        strategies = load(self.config, []) if any(u.instance is None for u in self.config.use) else self._first
        for loaded in strategies:
            restore_state(loaded.strategy, self._fresh[loaded.name])
        return strategies


def is_switched_off() -> bool:
    """Whether the environment switches Steersman off; said in the log. On several ranks that of rank 0 counts."""
    from steersman.integrations.torch.ranks import current_ranks

    if not current_ranks().agree(lambda: os.environ.get(OFF_SWITCH, "") not in ("", "0")):
        return False
    logger().warning("steersman is switched off", variable=OFF_SWITCH)
    return True
