"""Counts the tokens trained on: on the device, read only when something is logged."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

import torch

from steersman.records import Usage


class TokenCount:
    """Non-padding tokens and sequences of the training forwards of a model, and the seconds spent in its steps.

    What a checkpoint carries is that of whole steps: a resumed run makes the step again in which it was saved.
    Without a model it counts what it is given by `add`. Without `start` a step begins at its first forward.
    """

    def __init__(self, model: Any = None) -> None:
        self.seconds = 0.0
        self._began: float | None = None
        self._whole: tuple[int, torch.Tensor | None, float, int] = (0, None, 0.0, 0)
        self._samples = 0
        self._tokens: torch.Tensor | None = None
        self._plain_tokens = 0
        self._handle = model.register_forward_pre_hook(self._count, with_kwargs=True) if model is not None else None

    def start(self) -> None:
        """A step begins; calling it again before `stop` changes nothing."""
        self._began = perf_counter() if self._began is None else self._began

    def stop(self) -> None:
        """The step is over."""
        if self._began is not None:
            self.seconds += perf_counter() - self._began
        self._began = None
        self.step_ended()

    def take(self) -> Usage:
        """Return what was counted since the last call, and begin at zero: one read from the device."""
        usage = _usage(self._plain_tokens, self._tokens, self.seconds, self._samples)
        self.seconds, self._samples, self._plain_tokens, self._tokens = 0.0, 0, 0, None
        self.step_ended()
        return usage

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say that was not said before."""
        return ()

    def exclude(self, seconds: float) -> None:
        """These seconds of the step went into something else."""
        self.seconds -= seconds

    def resume(self, pending: Mapping[str, Any]) -> None:
        """Add what the run that is resumed had counted and not yet logged."""
        self._plain_tokens += int(pending.get("tokens", 0))
        self._samples += int(pending.get("samples", 0))
        self.seconds += float(pending.get("seconds", 0.0))
        self.step_ended()

    def step_ended(self) -> None:
        """Everything counted so far is of whole steps."""
        self._whole = (self._plain_tokens, self._tokens, self.seconds, self._samples)

    def pending(self) -> Usage:
        """Return what was counted since the last `take`, up to the end of the last step: one read from the device."""
        return _usage(*self._whole)

    def release(self) -> None:
        """Stop counting."""
        if self._handle is not None:
            self._handle.remove()

    def _count(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if module.training and torch.is_grad_enabled():
            self.start()
            self.add(kwargs)

    def add(self, batch: Mapping[str, Any]) -> None:
        """Count a batch that is trained on: its `attention_mask`, else its `input_ids`."""
        ids, mask = batch.get("input_ids"), batch.get("attention_mask")
        if isinstance(ids, torch.Tensor):
            self._samples += ids.shape[0]
        if isinstance(mask, torch.Tensor) and mask.dim() == 2:
            counted = mask.detach().sum()
            self._tokens = counted if self._tokens is None else self._tokens + counted
        elif isinstance(ids, torch.Tensor):
            self._plain_tokens += ids.numel()


def _usage(plain: int, counted: torch.Tensor | None, seconds: float, samples: int) -> Usage:
    tokens = plain + (int(counted.item()) if counted is not None else 0)
    return Usage("backpropagation", tokens, seconds, samples)
