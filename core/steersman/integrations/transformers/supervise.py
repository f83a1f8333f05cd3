"""The documented way to attach: `steersman.supervise(trainer, "steersman.yaml")`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steersman.config.reading import Source
from steersman.hyperparameters import Hyperparameter
from steersman.integrations.transformers.callback import SteersmanCallback
from steersman.integrations.transformers.placing import place
from steersman.teacher import Teacher


def supervise(
    trainer: Any,
    config: Source = None,
    *,
    hyperparameters: Sequence[Hyperparameter] = (),
    teacher: Teacher | None = None,
) -> SteersmanCallback:
    """Attach Steersman to a Hugging Face Trainer, or one built on it, after its construction; return the callback.

    `config` is a path (YAML, TOML), a Mapping, or None for the default: advise only. `hyperparameters` are the user's
    own; `teacher` records the calls that its rewards make.
    Raises ConfigError with every fault at once, and RuntimeError where the trainer is supervised already.
    """
    handler = trainer.callback_handler
    if any(isinstance(other, SteersmanCallback) for other in handler.callbacks):
        raise RuntimeError("this trainer is supervised already; remove the other SteersmanCallback first")
    callback = SteersmanCallback(config, hyperparameters=hyperparameters, teacher=teacher)
    callback.bind(trainer, place(handler, callback))
    return callback
