"""Steersman supervises a training run.

It hears what the trainer logs, scores every checkpoint, notices ill health, changes hyperparameters within bounds, counts
tokens and time, and writes down every decision with its reason. Each judgement is a strategy: see `steersman.hookspecs`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from steersman.checkpoints import Checkpoint, Evaluation, TrainLoss
from steersman.checks import Check
from steersman.config import Config, ConfigError
from steersman.decisions import Adjust, Finding, Rollback, Save, Score, Stop
from steersman.hyperparameters import Hyperparameter
from steersman.journal import JournalEntry
from steersman.records import Record, Usage
from steersman.replay import Replay, replay
from steersman.run import Adjustment, Run
from steersman.schedule import RunPlan
from steersman.strategies import hookimpl, state
from steersman.supervisor import Supervisor
from steersman.windows import Window

if TYPE_CHECKING:
    from steersman.integrations.transformers import SteersmanCallback, supervise

__all__ = [
    "Adjust",
    "Adjustment",
    "Check",
    "Checkpoint",
    "Config",
    "ConfigError",
    "Evaluation",
    "Finding",
    "Hyperparameter",
    "JournalEntry",
    "Record",
    "Replay",
    "Rollback",
    "Run",
    "RunPlan",
    "Save",
    "Score",
    "SteersmanCallback",
    "Stop",
    "Supervisor",
    "TrainLoss",
    "Usage",
    "Window",
    "hookimpl",
    "replay",
    "state",
    "supervise",
]

_NEED_TRANSFORMERS = {"SteersmanCallback", "supervise"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("steersman")
    if name in _NEED_TRANSFORMERS:
        return getattr(importlib.import_module("steersman.integrations.transformers"), name)
    raise AttributeError(f"module 'steersman' has no attribute {name!r}")
