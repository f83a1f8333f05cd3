"""Counts what GRPO and RLOO generate while they train: completion tokens, completions, seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from attrs import evolve

from steersman.accounting.ledgers import COUNTS, added
from steersman.records import Usage

_NOTHING = Usage("generation")


class GenerationMeter:
    """Stands before the trainer's `_generate`, on every rank for its own completions; evaluations are not counted.

    Of a completion with the words of tools in it only what the model said counts. `exclude` is told the seconds of a
    step that are no backpropagation: those of generating, of rewards and of a reference model.
    """

    def __init__(self, trainer: Any, exclude: Callable[[float], None]) -> None:
        self._trainer, self._exclude = trainer, exclude
        self._counted = self._whole = _NOTHING
        self._notes: list[str] = []
        self._undo = [_stand_before(trainer, "_generate", self._generating)]
        self._undo.append(_stand_before(trainer, "_generate_and_score_completions", self._leaving_out))

    def take(self) -> Usage:
        """Return what was counted since the last call, and begin at zero."""
        counted, self._counted = self._counted, _NOTHING
        self.step_ended()
        return counted

    def pending(self) -> Usage:
        """Return what was counted since the last `take`, up to the end of the last step."""
        return self._whole

    def resume(self, pending: Mapping[str, Any]) -> None:
        """Add what the run that is resumed had counted and not yet logged."""
        known = {name: pending.get(name, 0) for name in (*COUNTS, "seconds")}
        self._counted = added((self._counted, Usage("generation", **known)))
        self.step_ended()

    def step_ended(self) -> None:
        """Everything counted so far is of whole steps."""
        self._whole = self._counted

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say that was not said before."""
        said, self._notes = tuple(self._notes), []
        return said

    def release(self) -> None:
        """Stop counting."""
        while self._undo:
            self._undo.pop()()

    def _generating(self, generate: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._trainer.model.training:
            return generate(*args, **kwargs)
        began = perf_counter()
        made = generate(*args, **kwargs)
        try:
            self._count(made, perf_counter() - began)
        except Exception as error:  # it is a private method of TRL's: another release may return something else
            self._counted = evolve(self._counted, unknown=self._counted.unknown + 1)
            if self._counted.unknown == 1:
                self._notes.append(f"generated tokens could not be counted ({type(error).__name__}: {error})")
        return made

    def _count(self, made: Any, seconds: float) -> None:
        completions = made[1]
        spoken = made[2] if len(made) > 3 else None  # GRPO alone tells the model's own tokens from those of tools
        tokens = sum(sum(mask) for mask in spoken) if spoken is not None else sum(len(ids) for ids in completions)
        self._counted = added((self._counted, Usage("generation", int(tokens), seconds, len(completions))))

    def _leaving_out(self, prepare: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            return prepare(*args, **kwargs)
        finally:
            if self._trainer.model.training:
                self._exclude(perf_counter() - began)


def _stand_before(trainer: Any, name: str, instead: Callable[..., Any]) -> Callable[[], None]:
    """Call `instead` with the method of this name and its arguments in its place; return what undoes it."""
    own = trainer.__dict__.get(name)
    method = getattr(trainer, name)

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return instead(method, *args, **kwargs)

    def undo() -> None:
        if trainer.__dict__.get(name) is stand_in:  # else somebody stands before us, and calls on
            del trainer.__dict__[name]
            if own is not None:
                setattr(trainer, name, own)

    setattr(trainer, name, stand_in)
    return undo


def meters_of(trainer: Any, exclude: Callable[[float], None]) -> tuple[GenerationMeter, ...]:
    """Return the meter of a trainer that generates, or none."""
    generates = hasattr(trainer, "_generate") and hasattr(trainer, "_generate_and_score_completions")
    return (GenerationMeter(trainer, exclude),) if generates else ()
