"""Steersman supervises a training run.

It hears what the trainer logs, scores every checkpoint, notices ill health, changes hyperparameters within bounds,
counts tokens and time, and writes down every decision with its reason. Each judgement is a strategy: see
`steersman.hookspecs`.

A name is imported when it is first used (PEP 562), so that the command line starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steersman.checkpoints import Checkpoint, Evaluation, TrainLoss
    from steersman.checks import Check
    from steersman.config import Config, ConfigError
    from steersman.decisions import Adjust, Average, Finding, Rollback, Save, Score, Stop
    from steersman.deprecations import SteersmanDeprecationWarning
    from steersman.failing import StrategyError
    from steersman.hyperparameters import Hyperparameter
    from steersman.integrations.lightning import LightningCallback
    from steersman.integrations.torch.loop import Loop, attach
    from steersman.integrations.torch.supervised import Evaluated
    from steersman.integrations.transformers.callback import SteersmanCallback
    from steersman.integrations.transformers.supervise import supervise
    from steersman.integrations.trl.reward_gate import RewardGate, reward_gate
    from steersman.journal import JournalEntry
    from steersman.late.entries import LateScore
    from steersman.late.recording import record
    from steersman.records import Record, Usage
    from steersman.replaying import Replay, replay
    from steersman.replaying_many import Replays, replay_many
    from steersman.results.run import ReplayedRun
    from steersman.run import Adjustment, Run
    from steersman.schedule import RunPlan
    from steersman.secrets import Secret
    from steersman.snapshots import RolledBack
    from steersman.strategies import hookimpl, state
    from steersman.supervisor import Supervisor
    from steersman.teacher import Teacher
    from steersman.windows import Window

    __version__: str

__all__ = [
    "Adjust",
    "Adjustment",
    "Average",
    "Check",
    "Checkpoint",
    "Config",
    "ConfigError",
    "Evaluated",
    "Evaluation",
    "Finding",
    "Hyperparameter",
    "JournalEntry",
    "LateScore",
    "LightningCallback",
    "Loop",
    "Record",
    "Replay",
    "ReplayedRun",
    "Replays",
    "RewardGate",
    "Rollback",
    "RolledBack",
    "Run",
    "RunPlan",
    "Save",
    "Score",
    "Secret",
    "SteersmanCallback",
    "SteersmanDeprecationWarning",
    "Stop",
    "StrategyError",
    "Supervisor",
    "Teacher",
    "TrainLoss",
    "Usage",
    "Window",
    "attach",
    "hookimpl",
    "record",
    "replay",
    "replay_many",
    "reward_gate",
    "state",
    "supervise",
]

_MODULES = {
    "checkpoints": ("Checkpoint", "Evaluation", "TrainLoss"),
    "checks": ("Check",),
    "config": ("Config", "ConfigError"),
    "decisions": ("Adjust", "Average", "Finding", "Rollback", "Save", "Score", "Stop"),
    "deprecations": ("SteersmanDeprecationWarning",),
    "failing": ("StrategyError",),
    "hyperparameters": ("Hyperparameter",),
    "integrations.lightning": ("LightningCallback",),
    "integrations.torch.loop": ("Loop", "attach"),
    "integrations.torch.supervised": ("Evaluated",),
    "integrations.transformers.callback": ("SteersmanCallback",),
    "integrations.transformers.supervise": ("supervise",),
    "integrations.trl.reward_gate": ("RewardGate", "reward_gate"),
    "journal": ("JournalEntry",),
    "late.entries": ("LateScore",),
    "late.recording": ("record",),
    "records": ("Record", "Usage"),
    "replaying": ("Replay", "replay"),
    "replaying_many": ("Replays", "replay_many"),
    "results.run": ("ReplayedRun",),
    "run": ("Adjustment", "Run"),
    "schedule": ("RunPlan",),
    "secrets": ("Secret",),
    "snapshots": ("RolledBack",),
    "strategies": ("hookimpl", "state"),
    "supervisor": ("Supervisor",),
    "teacher": ("Teacher",),
    "windows": ("Window",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            value = import_module("importlib.metadata").version("steersman")
        elif name in _HOMES:
            value = getattr(import_module(f"steersman.{_HOMES[name]}"), name)
        else:
            raise AttributeError(f"module 'steersman' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
