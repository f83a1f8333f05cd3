"""What the author of a strategy tests it with: runs made up in a line, recorded runs, and a contract to keep.

`a_run` and `play` need nothing but Steersman; `CHECKS` and `StrategyContract` need `steersman[testing]`. A name is
imported when it is first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steersman.testing.checks import CHECKS
    from steersman.testing.contract import StrategyContract
    from steersman.testing.played import Found, Played, Proposed
    from steersman.testing.player import play
    from steersman.testing.story import Story, a_run

__all__ = ["CHECKS", "Found", "Played", "Proposed", "Story", "StrategyContract", "a_run", "play"]

_MODULES = {
    "checks": ("CHECKS",),
    "contract": ("StrategyContract",),
    "played": ("Found", "Played", "Proposed"),
    "player": ("play",),
    "story": ("Story", "a_run"),
}
_EXTRA = ("hypothesis", "pytest")
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'steersman.testing' has no attribute {name!r}")
        try:
            value = getattr(import_module(f"steersman.testing.{_HOMES[name]}"), name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in _EXTRA:
                raise
            told = f"steersman.testing.{name} needs {missing}: pip install 'steersman[testing]'"
            raise ModuleNotFoundError(told, name=missing) from None
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
