"""`layerwise-lr`: a learning-rate factor for each parameter group, and the norms that it needs in a log.

`norms`, `LogNorms` and `log_norms` need torch, the latter two transformers; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from steersman_layerwise_lr.strategy import LayerwiseLR

if TYPE_CHECKING:
    from steersman_layerwise_lr.measuring import norms
    from steersman_layerwise_lr.trainer_log import LogNorms, log_norms

__all__ = ["LayerwiseLR", "LogNorms", "log_norms", "norms"]

_HOMES = {"norms": "measuring", "LogNorms": "trainer_log", "log_norms": "trainer_log"}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'steersman_layerwise_lr' has no attribute {name!r}")
        value = getattr(import_module(f"steersman_layerwise_lr.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
