"""The policies that are compared: what is always shown, and what `--use` and `--config` name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from steersman.catalogue.entry_points import entry_points
from steersman.config.reading import SHIPPED
from steersman_bench.steer.ending import KNOWN
from steersman_bench.steer.loop import Asked
from steersman_bench.steer.strategies import ClipAndSkip, DoNothing

QUIET: Mapping[str, Any] = {"console": False, "report_to": "none"}
_OPEN: Mapping[str, Any] = {name: {} for name in KNOWN}
_SCORERS: tuple[object, ...] = ("eval-loss",)
NOTHING, BEST, BASELINE = "nothing", "nothing, best loaded", "clip + skip, best loaded"
"""What costs are measured against, and what every gain is measured against."""


@frozen
class Policy:
    """A row of the table: its name and what a run is asked to do.

    `is_whole` where the config is one of the user's own, to which nothing is added.
    """

    name: str
    asked: Asked
    is_whole: bool = False
    against: str = ""

    @property
    def alike(self) -> str:
        """The policy against which acting cost what it did: `against`, else doing nothing."""
        return self.against or (BEST if self.asked.load_best else NOTHING)


def always() -> tuple[Policy, ...]:
    """Return the policies that every table shows."""
    from steersman_early_stopping.early_stopping import EarlyStopping
    from steersman_plateau.plateau import Plateau

    alone = {**QUIET, "extends": "no-rails", "mode": "act", "use": [DoNothing(), *_SCORERS]}
    free: Mapping[str, Any] = {**alone, "hyperparameters": {"learning_rate": {}}}
    plateau = Plateau(factor=0.1, last_share=0.0)
    return (
        Policy(NOTHING, Asked(alone)),
        Policy(BEST, Asked(alone, load_best=True)),
        Policy(BASELINE, Asked({**alone, "use": [ClipAndSkip(), *_SCORERS]}, load_best=True)),
        Policy("ReduceLROnPlateau", Asked({**free, "use": [plateau, *_SCORERS]}, load_best=True)),
        Policy("early stopping", Asked({**free, "use": [EarlyStopping(), *_SCORERS]}, load_best=True)),
        Policy("origin", Asked({**QUIET, "extends": "origin"}, load_best=True)),
        _guarded(),
    )


def _guarded() -> Policy:
    """Return what ships as recommended; before there is such a config, the rules it is made of."""
    if any(point.name == "recommended" for point in entry_points(SHIPPED)):
        return Policy("recommended", Asked({**QUIET, "extends": "recommended"}, load_best=True))
    return Policy("guarded", Asked(acting("trend-health", "rl-health", "recovery"), load_best=True))


def acting(*use: object) -> Mapping[str, Any]:
    """Return the config that lets strategies act on all there is to change, inside the default rails."""
    return {**QUIET, "extends": [], "mode": "act", "hyperparameters": _OPEN, "use": [*_SCORERS, *use]}


def named(text: str) -> Policy:
    """Return the policy of one `--use`: that strategy, allowed to act, and the best checkpoint loaded.

    Raises ValueError where the text cannot be read.
    """
    from steersman.config.use_text import parsed

    return Policy(text, Asked(acting(parsed(text)), load_best=True))


def of_file(path: str) -> Policy:
    """Return the policy of a config of one's own, told nothing but to print nothing."""
    return Policy(path, Asked({**QUIET, "extends": path}, load_best=True), is_whole=True)
