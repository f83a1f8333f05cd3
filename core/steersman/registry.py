"""The registry of hyperparameters: read, write, read back; live, inert or unsupported, with the reason."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import frozen

from steersman.hyperparameters import SAFER, Deferred, Entry, Handle, Hyperparameter, ReadOnly, base_of, whole
from steersman.spelling import did_you_mean


@frozen
class Written:
    """What happened when a value was written; `error` is empty where the value read back is the one written."""

    old: float
    new: float
    read_back: float | None
    error: str = ""
    factor_before: float = 1.0
    peak: float | None = None
    saved_before: float | None = None


class Registry:
    """Every hyperparameter by name."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self._deferred = tuple(name for name, entry in self.entries.items() if _is_deferred(entry.handle))

    def get(self, name: str) -> Entry:
        """Return the entry of `name`; one that is not there is unsupported."""
        known = self.entries.get(name)
        if known is not None:
            return known
        reason = f"this trainer has no such hyperparameter{did_you_mean(name, self.entries)}"
        return Entry(name, None, "unsupported", reason)

    def values(self) -> dict[str, float]:
        """Return the values in force, where they are known."""
        values: dict[str, float] = {}
        for name, entry in self.entries.items():
            if entry.handle is not None and (value := entry.value) is not None:
                values[name] = value
        return values

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
        handle = entry.handle
        return self._change(entry, handle, old, new, entry.factor * ratio, lambda: handle.write(new, ratio))

    def undo_all(self) -> Iterator[tuple[str, Written]]:
        """Put every changed hyperparameter back to what the user had, and read it back."""
        for name, entry in self.entries.items():
            handle, original, old = entry.handle, entry.original, entry.value
            if not entry.changed or handle is None or original is None or old is None:
                continue
            undo = functools.partial(handle.restore, original)
            yield name, self._change(entry, handle, old, None, 1.0, undo)
            entry.changed = entry.status != "live"

    def take_back(self, name: str, written: Written) -> None:
        """Put back what was before a write, here and in the account of it."""
        entry = self.get(name)
        entry.factor = written.factor_before
        if entry.handle is not None:
            _put_back(entry.handle, written.saved_before)

    def waits(self, name: str) -> bool:
        """Whether a value of `name` was written that is not in force yet."""
        handle = self.get(name).handle
        return isinstance(handle, Deferred) and handle.waits

    @property
    def is_waiting(self) -> bool:
        """Whether any value was written that is not in force yet."""
        if not self._deferred:
            return False
        return any(self.waits(name) for name in self._deferred)

    def take_effects(self) -> Iterator[tuple[str, float | None]]:
        """Put in force what waits and may; yield each name with the value then read from the trainer."""
        for name in self._deferred:
            entry = self.entries[name]
            if isinstance(entry.handle, Deferred) and entry.handle.waits and entry.handle.take_effect():
                yield name, entry.value

    def _change(
        self, entry: Entry, handle: Handle, old: float, new: float | None, factor: float, act: Callable[[], None]
    ) -> Written:
        error, read_back, factor_before, before = "", None, entry.factor, None
        try:
            before = handle.save()
            peak = getattr(handle, "peak", None)
            act()
            read_back = handle.read()
            if entry.original is None:
                entry.original = before
        except Exception as raised:
            error, peak = f"writing it raised {type(raised).__name__}: {raised}", None
        wanted = read_back if new is None else new
        if not error and (read_back is None or wanted is None or not _same(read_back, wanted)):
            error = f"it was set to {wanted} and reads {read_back}"
        if error:
            entry.status, entry.reason = "inert", error
            _put_back(handle, before)
        else:
            entry.factor, entry.changed = whole(factor), True
        return Written(old, math.nan if wanted is None else wanted, read_back, error, factor_before, peak, before)

    def save(self) -> dict[str, dict[str, float]]:
        """Return what a checkpoint must carry: the changed hyperparameters only."""
        saved: dict[str, dict[str, float]] = {}
        for name, entry in self.entries.items():
            try:
                value = entry.handle.save() if entry.changed and entry.handle is not None else None
            except Exception:
                continue
            if value is not None:
                original = {} if entry.original is None else {"original": entry.original}
                saved[name] = {"saved": value, "factor": entry.factor, **original}
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
                entry.original = state.get("original", entry.handle.save())
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
    entries = {h.name: _own(h) for h in own}
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


def _own(handle: Hyperparameter) -> Entry:
    """Return the entry of a user's own: live where it can be read."""
    safer = handle.safer or SAFER.get(handle.name)
    try:
        value = handle.read()
    except Exception as raised:
        return Entry(handle.name, None, "unsupported", f"reading it raised {type(raised).__name__}: {raised}", safer)
    if value is None:
        return Entry(handle.name, None, "unsupported", "its `get` returns None", safer)
    return Entry(handle.name, handle, "live", safer=safer)


def _is_deferred(handle: Handle | None) -> bool:
    return hasattr(handle, "take_effect") and isinstance(handle, Deferred)  # the latter alone is slow


def _same(read_back: float, wanted: float) -> bool:
    return math.isclose(read_back, wanted, rel_tol=1e-6, abs_tol=1e-12)


def _put_back(handle: Handle, saved: float | None) -> None:
    try:
        if saved is not None:
            handle.restore(saved)
    except Exception:
        return
