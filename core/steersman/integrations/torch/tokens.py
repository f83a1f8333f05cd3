"""Counts the tokens trained on: on the device, read only when something is logged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from time import perf_counter
from typing import Any, cast

import torch

from steersman.integrations.torch.token_batch import told
from steersman.integrations.torch.token_sums import COUNTS, TokenSums
from steersman.integrations.torch.wrapped_models import positional_names, shifts_labels
from steersman.records import Usage

_compiler: Any = torch.compiler


class _Hook:
    """Tells a count of each forward. A copy of the model, or the model in a file, has one that is mute."""

    def __init__(self, hear: Callable[[Any, tuple[Any, ...], dict[str, Any]], None] | None) -> None:
        self._hear = hear

    def __call__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._hear is not None:
            self._hear(module, args, kwargs)

    def __reduce__(self) -> tuple[type[_Hook], tuple[None]]:
        return _Hook, (None,)


class TokenCount:
    """Tokens and sequences of the training forwards of a model in this process, and the seconds spent in its steps.

    See `steersman.records.Usage` for what is counted. What a checkpoint carries is that of whole steps: a resumed run
    makes the step again in which it was saved. Without `hooks` or a model it counts what it is given by `add`; the
    model then tells how it takes labels. Without `start` a step begins at its first forward. A batch that cannot be
    read never raises: it counts as `unknown`.
    """

    def __init__(self, model: Any = None, *, hooks: bool = True) -> None:
        self.seconds = 0.0
        self._began: float | None = None
        self._sums, self._whole, self._whole_seconds = TokenSums(), TokenSums(), 0.0
        self._said: set[str] = set()
        self._notes: list[str] = []
        self._model = model
        self._names: tuple[str, ...] | None = None
        self._shifts_labels: bool | None = None
        self._has_failed = False
        self._lock = Lock()  # replicas of DataParallel run in threads
        self._forward_uncompiled = _compiler.disable(self._forward)
        hooked = model if hooks else None
        self._handle: Any = None
        if hooked is not None:
            self._handle = hooked.register_forward_pre_hook(_Hook(self._hook), with_kwargs=True)

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
        usage = self._sums.usage(self.seconds)
        self.seconds, self._sums = 0.0, TokenSums()
        self.step_ended()
        return usage

    def exclude(self, seconds: float) -> None:
        """These seconds of the step went into something else."""
        self.seconds -= seconds

    def resume(self, pending: Mapping[str, Any]) -> None:
        """Add what the run that is resumed had counted and not yet logged: the fields of a Usage, or some of them."""
        self._sums.add_known({name: int(pending.get(name, 0)) for name in COUNTS})
        self.seconds += float(pending.get("seconds", 0.0))
        self.step_ended()

    def step_ended(self) -> None:
        """Everything counted so far is of whole steps."""
        self._whole, self._whole_seconds = self._sums.as_of_now(), self.seconds

    def pending(self) -> Usage:
        """Return what was counted since the last `take`, up to the end of the last step: one read from the device."""
        return self._whole.usage(self._whole_seconds)

    def notes(self) -> tuple[str, ...]:
        """Return what is not known of the batches, in sentences; each is returned once."""
        new, self._notes = tuple(self._notes), []
        return new

    def release(self) -> None:
        """Stop counting."""
        if self._handle is not None:
            self._handle.remove()

    def add(self, batch: Mapping[str, Any]) -> None:
        """Count a batch that is trained on, given by the names of a forward's arguments."""
        self._count((batch,), {})

    def _hook(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if module.training and torch.is_grad_enabled():
            # in a compiled forward the graph begins after the hook, so that this counts at each call
            (self._forward_uncompiled if torch.compiler.is_compiling() else self._forward)(args, kwargs)

    def _forward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.start()
        self._count(args, kwargs)

    def _count(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            if self._shifts_labels is None:
                self._shifts_labels = shifts_labels(self._model)
            tells = told(self._named(args, kwargs) if args else kwargs, shifts_labels=self._shifts_labels)
            with self._lock:
                self._sums.add(tells)
            self._note(tells.notes)
        except Exception as error:
            self._sums.add_known({"unknown": 1})
            if not self._has_failed:
                self._note(
                    [f"the tokens of a batch could not be counted: {error!r}; the number of these is in `unknown`"]
                )
            self._has_failed = True

    def _named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
        if isinstance(args[0], Mapping):
            return {**cast("Mapping[str, Any]", args[0]), **kwargs}
        if self._names is None:
            self._names = positional_names(self._model)
        return {**dict(zip(self._names, args, strict=False)), **kwargs}

    def _note(self, notes: Iterable[str]) -> None:
        for note in notes:
            if note not in self._said:
                self._said.add(note)
                self._notes.append(note)
