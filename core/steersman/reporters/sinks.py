"""Which trackers are told of a run, and through what: the trainer's own writer, run or client where it has one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from attrs import frozen

from steersman.journal import JournalEntry
from steersman.logs import logger
from steersman.rails import Mode
from steersman.reporters import mlflow, wandb
from steersman.reporters.mlflow import MLflow
from steersman.reporters.tensorboard import OwnWriter, TensorBoard
from steersman.reporters.wandb import Wandb
from steersman.secrets import told

Sink = Literal["tensorboard", "wandb", "mlflow"]


@frozen
class Trackers:
    """Where a trainer itself reports: for each tracker what finds it at the time of writing, or None where it does not.

    `tensorboard` finds a SummaryWriter, `wandb` a run of W&B, `mlflow` a client with the id of its run. An event file
    of our own goes to `folder`, of a run that goes on from `step`.
    """

    folder: Path
    step: int = 0
    tensorboard: Callable[[], Any] | None = None
    wandb: Callable[[], Any] | None = None
    mlflow: Callable[[], tuple[Any, str] | None] | None = None


class Reporter(Protocol):
    """One tracker that is told."""

    def hear(self, entry: JournalEntry) -> None: ...
    def close(self) -> None: ...


@frozen
class Reporting:
    """Who hears of a run, and `notes` for the user."""

    sinks: tuple[Reporter, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def reporters(self) -> tuple[Callable[[JournalEntry], None], ...]:
        """What hears each line of the journal."""
        return tuple(sink.hear for sink in self.sinks)

    def close(self) -> None:
        """Write what waits, and close what is our own. Twice is once; raises nothing."""
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:
                name = type(sink).__name__
                logger().error(f"{name} could not be closed ({told(error)})", reporter=name)


def reporting(asked: Literal["auto", "none"] | tuple[Sink, ...], mode: Mode, trackers: Trackers) -> Reporting:
    """Return who hears of a run, as `report_to` says; one that is named and not there is a note."""
    if asked == "none" or (asked == "auto" and mode == "observe"):
        return Reporting()
    notes: list[str] = []
    sinks: list[Reporter] = []
    for name in get_args(Sink) if asked == "auto" else dict.fromkeys(asked):
        find: Any = getattr(trackers, name)
        if find is None and asked != "auto":
            find = _found(name, trackers, notes)
        if find is not None:
            sinks.append(_SINKS[name](find))
    return Reporting(tuple(sinks), tuple(notes))


_SINKS: dict[str, Callable[[Any], Reporter]] = {"tensorboard": TensorBoard, "wandb": Wandb, "mlflow": MLflow}


def _found(name: str, trackers: Trackers, notes: list[str]) -> Any:
    """Return what finds a tracker that is named and that the trainer has not; a note where there is none."""
    if name == "tensorboard":
        if find_spec("tensorboard") is not None:
            return OwnWriter(trackers.folder, trackers.step)
        notes.append("report_to names tensorboard, which is not installed: pip install 'steersman[tensorboard]'")
        return None
    find: Callable[[], Any] = {"wandb": wandb.active_run, "mlflow": mlflow.active_run}[name]
    if find() is not None:
        return find
    begin = {"wandb": "wandb.init", "mlflow": "mlflow.start_run"}[name]
    notes.append(f"report_to names {name}, and no run of it is active: call {begin} before training")
    return None
