"""What an integration knows of a run at its begin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from steersman.integrations.meters import Meter
from steersman.integrations.torch.tokens import TokenCount
from steersman.journal import JournalEntry
from steersman.records import Record
from steersman.registry import Registry
from steersman.schedule import RunPlan


@frozen
class Begin:
    """What an integration knows of a run at its begin.

    `folder` is the run directory; `saved` what the checkpoint it goes on from carries, `past` its records; `notes` are
    sentences for the user; `packages` are named with their versions in the journal. `keeps_records` where the trainer
    keeps no log of its own: then `saved` holds the records. `counts_forwards` where the forwards of the model tell the
    tokens. `facts` are what scores depend on besides the model. `reporters` hear every journal line on rank 0,
    `listener` on every rank. `tokens` has counted since before the run began,
    where there is one. `meters` makes what counts for the ledgers besides;
    it is given what takes seconds out of the time of backpropagation. `hooks_steps` is whether a hook of the optimizer
    finds the gradients in place just before a step, and none of the integration's own calls `steps.before_hook` then.
    """

    folder: Path
    plan: RunPlan
    registry: Registry
    step: int = 0
    saved: Mapping[str, Any] = field(factory=dict[str, Any])
    past: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()
    model: Any = None
    optimizer: Any = None
    scaler: Any = None
    facts: Mapping[str, object] = field(factory=dict[str, object])
    packages: tuple[str, ...] = ("torch",)
    forces_logs: bool = False
    reporters: tuple[Callable[[JournalEntry], None], ...] = ()
    listener: Callable[[JournalEntry], None] | None = None
    tokens: TokenCount | None = None
    meters: Callable[[Callable[[float], None]], tuple[Meter, ...]] = lambda exclude: ()
    keeps_records: bool = False
    steps_begin_late: bool = False
    counts_forwards: bool = True
    hooks_steps: bool = True
