"""What counts for the ledgers while a run goes on, and the clock of what is no training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

from attrs import asdict, evolve

from steersman.accounting.ledgers import COUNTS, side_by_side
from steersman.ranks import Ranks
from steersman.records import Usage


class Meter(Protocol):
    """Counts what one ledger takes, in this process."""

    def take(self) -> Usage:
        """Return what was counted since the last call, and begin at zero."""
        ...

    def pending(self) -> Usage:
        """Return what was counted since the last `take` and is of whole steps."""
        ...

    def resume(self, pending: Mapping[str, Any], /) -> None:
        """Add what the run that is resumed had counted and not yet logged."""
        ...

    def step_ended(self) -> None:
        """Everything counted so far is of whole steps."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what there is to say that was not said before."""
        ...

    def release(self) -> None:
        """Stop counting."""
        ...


class Meters:
    """All meters of a run, added up over its ranks."""

    def __init__(self, ranks: Ranks, tell: Callable[[str], None]) -> None:
        self._ranks, self._tell = ranks, tell
        self._meters: list[Meter] = []
        self._held: dict[str, Mapping[str, Any]] = {}
        self._epoch: int | None = None
        self._carried: tuple[Usage, ...] = ()
        self._summed: tuple[Usage, ...] | None = None
        self._has_failed = False

    def resume(self, usages: Iterable[Mapping[str, Any]], lost: Sequence[Usage] = ()) -> None:
        """Keep what a resumed run had counted and not logged, for the meters to come; rank 0 alone counts it again.

        `lost` is what it had logged after the checkpoint, and what counts all the same: it covers what was not logged.
        """
        known = {usage.ledger for usage in lost}
        told = [usage for usage in usages if usage["ledger"] not in known]
        placed = tuple(Usage(**usage) for usage in told if usage.get("epoch") is not None)
        held = {str(usage["ledger"]): usage for usage in told if usage.get("epoch") is None}
        self._held, self._carried = (held, (*lost, *placed)) if self._ranks.is_main else ({}, ())

    def add(self, meter: Meter) -> None:
        """Count with `meter` too."""
        self._meters.append(meter)
        held = self._held.pop(meter.pending().ledger, None)
        if held is not None:
            meter.resume(held)

    def ledgers(self) -> set[str]:
        """Return the names of the ledgers that are filled."""
        return {meter.pending().ledger for meter in self._meters}

    def step_ended(self) -> None:
        """Everything counted so far is of whole steps, and more than was added up over the ranks before."""
        self._summed = None
        for meter in self._meters:
            meter.step_ended()

    def reach(self, epoch: float | None) -> None:
        """So many epochs are finished, fractional: what is counted is of the one that the newest step lies in."""
        self._epoch = self._epoch if epoch is None else max(math.ceil(epoch - 1e-6), 1)

    def epoch_ended(self) -> None:
        """Keep what was counted for the next `take`, as that of the epoch that is over: one read."""
        if self._epoch is not None:
            self.step_ended()
            taken = (evolve(usage, epoch=self._epoch) for usage in self._local(lambda meter: meter.take()))
            self._carried = (*self._carried, *(usage for usage in taken if _is_something(usage)))

    def take(self) -> tuple[Usage, ...]:
        """Return what all ranks counted since the last call.

        Every rank must call this at the same facts.
        """
        local = (
            *self._carried,
            *(evolve(usage, epoch=self._epoch) for usage in self._local(lambda meter: meter.take())),
        )
        self._carried, self._summed = (), None
        taken = side_by_side(self._ranks.gathered(local))
        for note in (note for meter in self._meters for note in meter.notes()):
            self._tell(note)
        return tuple(usage for usage in taken if _is_something(usage))

    def sum_pending(self) -> None:
        """Add up over the ranks what is not logged yet, for a save by rank 0 alone. Every rank must call this."""
        if self._ranks.size > 1:
            self._summed = self.so_far()

    def so_far(self) -> tuple[Usage, ...]:
        """Return what all ranks counted and did not log yet. Every rank must call this at the same facts."""
        return side_by_side(self._ranks.gathered(self._untaken()))

    def _untaken(self) -> tuple[Usage, ...]:
        newest = self._local(lambda meter: meter.pending())
        return (*self._carried, *(evolve(usage, epoch=self._epoch) for usage in newest))

    def pending(self) -> list[dict[str, Any]]:
        """Return what a checkpoint must hold: what was counted and not yet logged."""
        usages = side_by_side([self._untaken()]) if self._summed is None else self._summed
        return [asdict(usage) for usage in usages if _is_something(usage)]

    def release(self) -> None:
        """Stop counting."""
        for meter in self._meters:
            meter.release()

    def _local(self, ask: Callable[[Meter], Usage]) -> tuple[Usage, ...]:
        """Return what each meter says; one that fails counts nothing, so that no rank is left alone at what follows."""
        said: list[Usage] = []
        for meter in self._meters:
            try:
                said.append(ask(meter))
            except Exception as error:
                if not self._has_failed:
                    self._tell(f"{type(meter).__name__} could not be read ({type(error).__name__}: {error})")
                self._has_failed = True
        return tuple(said)


def _is_something(usage: Usage) -> bool:
    return any(getattr(usage, name) for name in COUNTS)


class Stopwatch:
    """The seconds that went into something else than training: from the last mark to the moment they are told of."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock, self._last = clock, clock()
        self._spent: dict[str, float] = {}

    def mark(self) -> None:
        """Whatever comes next begins now."""
        self._last = self._clock()

    def went_into(self, what: str) -> None:
        """The time since the last mark went into `what`; what comes next begins now."""
        now = self._clock()
        self.add(what, now - self._last)
        self._last = now

    def add(self, what: str, seconds: float) -> None:
        """Add seconds that were found otherwise."""
        self._spent[what] = self._spent.get(what, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """Return what was told since the last call."""
        spent, self._spent = self._spent, {}
        return spent
