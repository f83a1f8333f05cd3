"""What a hyperparameter is: how it is read and written, which way is safer, and whether it is live."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, Protocol, runtime_checkable

from attrs import define, field, frozen

Status = Literal["live", "inert", "unsupported"]
Safer = Literal["down", "up"] | None

SAFER: Mapping[str, Safer] = {
    "learning_rate": "down",
    "max_grad_norm": "down",
    "kl_penalty": "up",
    "reward_weight": None,
    "reward_threshold": None,
    "temperature": "down",
}
"""The hyperparameters Steersman has names for, and which way each is safer."""
MOVES_METRICS = frozenset({"kl_penalty", "reward_weight", "reward_threshold", "temperature"})
"""A change of one of these moves rewards or losses by itself, with the very same model."""
MOVES_REWARDS = MOVES_METRICS - {"kl_penalty"}
"""A change of one of these moves the rewards by itself."""


def base_of(name: str) -> str:
    """Return the hyperparameter that `name` is a member of: `learning_rate` of `learning_rate[decoder]`."""
    return name.partition("[")[0]


class Handle(Protocol):
    """How one hyperparameter is read and written."""

    def read(self) -> float | None:
        """Return the value in force at the next step, or None where it is not known."""
        ...

    def write(self, value: float, ratio: float) -> None:
        """Put `value` in force; `ratio` is value over the old one, exactly as proposed."""
        ...

    def save(self) -> float | None:
        """Return what `restore` needs after a resume, as an absolute number."""
        ...

    def restore(self, saved: float) -> None:
        """Put a saved value in force again; twice is once."""
        ...

    def release(self) -> None:
        """Put back what the user had."""
        ...


@runtime_checkable
class Deferred(Protocol):
    """A hyperparameter whose new value waits for a moment the trainer allows, such as the next generation.

    `read()` returns the value that waits, else the one in force.
    """

    @property
    def waits(self) -> bool:
        """Whether a value was written that is not in force yet."""
        ...

    def take_effect(self) -> bool:
        """At the begin of a step, put the waiting value in force if the moment has come; return whether it did."""
        ...


@define(eq=False)
class Hyperparameter:
    """A user's own hyperparameter, in one line: `Hyperparameter("label_smoothing", get, set, safer="down")`.

    `get` returns the value in force; `set` takes the new one. `safer` says which way is safer, if either is: among
    proposals that compete, the safer wins.
    """

    name: str
    get: Callable[[], float | None]
    set: Callable[[float], object]
    safer: Safer = None
    _original: float | None = field(default=None, init=False)

    @classmethod
    def holding(cls, name: str, value: float, safer: Safer = None) -> Hyperparameter:
        """Return one that keeps its own number: your loop reads it as `.value`."""
        box = [float(value)]
        return cls(name, lambda: box[0], lambda new: box.__setitem__(0, new), safer)

    @property
    def value(self) -> float | None:
        """The value in force."""
        return self.get()

    def read(self) -> float | None:
        value = self.get()
        return None if value is None else float(value)

    def write(self, value: float, ratio: float) -> None:
        if self._original is None:
            self._original = self.get()
        self.set(value)

    def save(self) -> float | None:
        return self.read()

    def restore(self, saved: float) -> None:
        self.write(saved, 1.0)

    def release(self) -> None:
        if self._original is not None:
            self.set(self._original)
            self._original = None


@define(eq=False)
class OnPaper:
    """A hyperparameter of a run that is over: its value is kept here, None where it is not known."""

    value: float | None = None

    def read(self) -> float | None:
        return self.value

    def write(self, value: float, ratio: float) -> None:
        self.value = value

    def save(self) -> float | None:
        return self.value

    def restore(self, saved: float) -> None:
        self.value = saved

    def release(self) -> None:
        return None


@define(eq=False)
class Entry:
    """One hyperparameter in the registry.

    `factor` is the product of every change made to it so far, `original` what `save` gave before the first.
    """

    name: str
    handle: Handle | None
    status: Status
    reason: str = ""
    safer: Safer = None
    factor: float = 1.0
    changed: bool = False
    original: float | None = None

    @property
    def value(self) -> float | None:
        """The value in force at the next step, or None where it is not known or cannot be read."""
        handle = self.handle
        try:
            return handle.read() if handle is not None else None
        except Exception:
            return None


@frozen
class ReadOnly:
    """What a strategy sees of a hyperparameter."""

    name: str
    value: float | None
    status: Status
    factor: float


def whole(factor: float) -> float:
    """Return 1 for a factor that undone changes have left a rounding error away from it."""
    return 1.0 if math.isclose(factor, 1.0, rel_tol=1e-12) else factor
