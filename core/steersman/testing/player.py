"""Plays a recorded run to strategies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from steersman.rails import Mode
from steersman.replaying import replay
from steersman.testing.played import Played, played
from steersman.testing.settings import config_of


def play(
    path: str | Path,
    *strategies: object,
    values: Mapping[str, float] | None = None,
    mode: Mode = "advise",
    check_every: Literal["auto", "epoch", "eval"] | int = "auto",
    rails: bool | Mapping[str, Any] = False,
    **config: Any,
) -> Played:
    """Return what the strategies, instances or classes, say of the run at `path`.

    It is a trainer_state.json, a run directory or a journal. `values` are hyperparameters that it does not hold; those
    and the learning rate may be changed, on paper. What a change would have done to the metrics is not predicted, and
    the run goes on after a stop. Without `rails` nothing but a proposal's own bounds holds a change.
    Raises TypeError for a strategy by name, ConfigError for one that is none, UnreadableRun.
    """
    given = dict(values or {})
    allowed = ["learning_rate", *given]
    asked = config_of(strategies, mode=mode, check_every=check_every, rails=rails, hyperparameters=allowed, more=config)
    told = replay(path, asked, values=given)
    stops = (e.step for e in told.of("proposal") if (e.data["action"], e.data["verdict"]) == ("stop", "accepted"))
    return played(told.entries, told.ranking.best(), next(stops, None))
