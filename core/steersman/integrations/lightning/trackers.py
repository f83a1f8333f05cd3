"""Where Lightning's Trainer reports: its loggers of TensorBoard, W&B and MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steersman.reporters.sinks import Trackers


def trackers_of(trainer: Any, folder: Path) -> Trackers:
    """Return what the loggers of the Trainer report to; `folder` is where event files go that are our own."""
    written, run, client = (_logger(trainer, name) for name in ("TensorBoardLogger", "WandbLogger", "MLFlowLogger"))
    return Trackers(
        folder,
        trainer.global_step,
        tensorboard=(lambda: written.experiment) if written is not None else None,
        wandb=(lambda: run.experiment) if run is not None else None,
        mlflow=(lambda: (client.experiment, client.run_id)) if client is not None else None,
    )


def _logger(trainer: Any, name: str) -> Any:
    """Return the first logger of a class of this name, or of one that is built on it."""
    return next((each for each in trainer.loggers if name in {c.__name__ for c in type(each).__mro__}), None)
