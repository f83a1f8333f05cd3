"""Where the Trainer reports: its callbacks of TensorBoard, W&B and MLflow."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

from steersman.reporters import mlflow, wandb
from steersman.reporters.sinks import Trackers


def trackers_of(trainer: Any | None, args: Any, step: int) -> Trackers:
    """Return what the callbacks of the Trainer report to, of a run that goes on from `step`.

    Without the trainer they are not known.
    """
    callbacks: list[Any] = trainer.callback_handler.callbacks if trainer is not None else []
    names = {parent.__name__ for callback in callbacks for parent in type(callback).__mro__}
    written = [callback for callback in callbacks if hasattr(callback, "tb_writer")]
    is_unknown = trainer is None and "tensorboard" in (args.report_to or ())  # whose points must not be forgotten
    return Trackers(
        _event_files(args, step),
        0 if is_unknown else step,
        tensorboard=(lambda: written[0].tb_writer) if written else None,
        wandb=wandb.active_run if "WandbCallback" in names else None,
        mlflow=mlflow.active_run if "MLflowCallback" in names else None,
    )


def _event_files(args: Any, step: int) -> Path:
    """Return where the Trainer would write event files; a resumed run goes on in the newest folder that has some."""
    named: str | None = getattr(args, "logging_dir", None) or os.environ.get("TENSORBOARD_LOGGING_DIR")
    if named:
        return Path(named).expanduser()
    runs = Path(args.output_dir) / "runs"
    earlier = sorted(runs.glob("*/events.out.tfevents.*"), key=lambda file: file.stat().st_mtime) if step > 0 else []
    return earlier[-1].parent if earlier else runs / f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}"
