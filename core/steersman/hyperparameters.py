"""The registry of hyperparameters: read, write, read back; live, inert or unsupported, with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol

from attrs import define, field, frozen

from steersman.spelling import did_you_mean

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
    """One hyperparameter in the registry. `factor` is the product of every change made to it so far."""

    name: str
    handle: Handle | None
    status: Status
    reason: str = ""
    safer: Safer = None
    factor: float = 1.0
    changed: bool = False

    @property
    def value(self) -> float | None:
        """The value in force at the next step, or None where it is not known or cannot be read."""
        try:
            return self.handle.read() if self.handle is not None else None
        except Exception:
            return None


@frozen
class ReadOnly:
    """What a strategy sees of a hyperparameter."""

    name: str
    value: float | None
    status: Status
    factor: float


@frozen
class Written:
    """What happened when a value was written; `error` is empty where the value read back is the one written."""

    old: float
    new: float
    read_back: float | None
    error: str = ""


class Registry:
    """Every hyperparameter by name."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = {entry.name: entry for entry in entries}

    def get(self, name: str) -> Entry:
        """Return the entry of `name`; one that is not there is unsupported."""
        known = self.entries.get(name)
        if known is not None:
            return known
        reason = f"this trainer has no such hyperparameter{did_you_mean(name, self.entries)}"
        return Entry(name, None, "unsupported", reason)

    def values(self) -> dict[str, float]:
        """Return the values in force, where they are known."""
        known = {name: entry.value for name, entry in self.entries.items()}
        return {name: value for name, value in known.items() if value is not None}

    def view(self, name: str) -> ReadOnly:
        """Return what a strategy may see of `name`."""
        entry = self.get(name)
        return ReadOnly(name, entry.value, entry.status, entry.factor)

    def write(self, name: str, new: float, ratio: float) -> Written:
        """Write a value and read it back. A write that fails or does not stick makes the hyperparameter inert."""
        entry = self.get(name)
        old = entry.value
        if entry.handle is None or old is None:
            return Written(math.nan, new, None, "it cannot be read")
        error, read_back = "", None
        try:
            entry.handle.write(new, ratio)
            read_back = entry.handle.read()
        except Exception as raised:
            error = f"writing it raised {type(raised).__name__}: {raised}"
        if not error and (read_back is None or not math.isclose(read_back, new, rel_tol=1e-6, abs_tol=1e-12)):
            error = f"it was set to {new:g} and reads {read_back}"
        if error:
            entry.status, entry.reason = "inert", error
            _put_back(entry.handle, old)
        else:
            entry.factor, entry.changed = entry.factor * ratio, True
        return Written(old, new, read_back, error)

    def save(self) -> dict[str, dict[str, float]]:
        """Return what a checkpoint must carry: the changed hyperparameters only."""
        saved: dict[str, dict[str, float]] = {}
        for name, entry in self.entries.items():
            try:
                value = entry.handle.save() if entry.changed and entry.handle is not None else None
            except Exception:
                continue
            if value is not None:
                saved[name] = {"saved": value, "factor": entry.factor}
        return saved

    def restore(self, saved: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
        """Put saved values in force again; return a sentence for each that could not be."""
        problems: list[str] = []
        for name, state in saved.items():
            entry = self.get(name)
            if entry.handle is None or entry.status != "live":
                problems.append(f"{name} was changed before the resume and cannot be set now: {entry.reason}")
                continue
            try:
                entry.handle.restore(state["saved"])
                entry.factor, entry.changed = state["factor"], True
            except Exception as raised:
                problems.append(f"{name} could not be restored: {type(raised).__name__}: {raised}")
        return tuple(problems)

    def release(self) -> tuple[str, ...]:
        """Put back every value the user had; return a sentence for each that could not be."""
        problems: list[str] = []
        for entry in self.entries.values():
            try:
                if entry.handle is not None:
                    entry.handle.release()
            except Exception as raised:
                problems.append(f"{entry.name} could not be put back: {type(raised).__name__}: {raised}")
        return tuple(problems)


def registry_of(own: Iterable[Hyperparameter], found: Mapping[str, Entry], why_not: Callable[[str], str]) -> Registry:
    """Return the registry of a run: the user's own first, what the integration found, and why the rest is not there.

    What the user hands over takes the place of what was found, and of its members.
    """
    entries = {h.name: Entry(h.name, h, "live", safer=h.safer or SAFER.get(h.name)) for h in own}
    theirs = frozenset(entries)
    for name, entry in found.items():
        if base_of(name) not in theirs:
            entries[name] = entry
        elif entry.handle is not None:
            entry.handle.release()
    for name, safer in SAFER.items():
        if name not in entries:
            entries[name] = Entry(name, None, "unsupported", why_not(name), safer=safer)
    return Registry(entries.values())


def _put_back(handle: Handle, old: float) -> None:
    try:
        if handle.read() != old:
            handle.write(old, 1.0)
    except Exception:
        return
