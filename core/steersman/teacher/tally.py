"""What the calls to a teacher came to since it was last taken, from any number of threads and tasks.

A call is told by appending to a queue, without a lock: a stream may end when garbage is collected, in the midst of
anything. The queue is added up when somebody asks, or has grown long.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from threading import Lock
from time import perf_counter
from typing import Any, Self

import attrs
from attrs import define, field, frozen

from steersman.accounting import sketch
from steersman.accounting.ledgers import COUNTS, SKETCHES, added
from steersman.records import Usage

_LONG = 256
_NOTHING = Usage("teacher")


@frozen
class Told:
    """A call that began or ended: `at` in seconds by `perf_counter`, `opens` 1 or -1, and what it came to."""

    at: float
    opens: int = 0
    cost: Usage = _NOTHING
    latency: float = 0.0
    failed: str | None = None
    sentences: Iterable[str] = ()


@define(eq=False)
class Tally:
    """Counts of calls that ended, and the time in which at least one was open."""

    _queue: deque[Told] = field(factory=deque[Told])
    _lock: Lock = field(factory=Lock)
    _usage: Usage = _NOTHING
    _open: int = 0
    _since: float = 0.0
    _errors: Counter[str] = field(factory=Counter[str])
    _said: set[str] = field(factory=set[str])
    _news: list[str] = field(factory=list[str])

    def tell(self, told: Told) -> None:
        """Take one thing about a call; never waits."""
        self._queue.append(told)
        if len(self._queue) > _LONG and self._lock.acquire(blocking=False):
            try:
                self._add_up()
            finally:
                self._lock.release()

    def take(self) -> Usage:
        """Return all since the last time, and begin anew; where no call ended since, its seconds wait for one."""
        with self._lock:
            self._add_up(perf_counter())
            if not any(getattr(self._usage, name) for name in COUNTS):
                return _NOTHING
            taken, self._usage = self._usage, _NOTHING
            return taken

    def pending(self) -> Usage:
        """Return all since the last `take`."""
        with self._lock:
            self._add_up(perf_counter())
            return self._usage

    def resume(self, held: Mapping[str, Any]) -> None:
        """Add the fields of a `Usage`; what is missing is 0."""
        with self._lock:
            known = {name: held[name] for name in (*COUNTS, *SKETCHES, "seconds") if name in held}
            self._usage = added((self._usage, Usage("teacher", **known)))

    def errors(self) -> dict[str, int]:
        """Return how many calls failed so far, by kind."""
        with self._lock:
            self._add_up()
            return dict(self._errors)

    def notes(self) -> tuple[str, ...]:
        """Return the sentences that are new since the last call."""
        with self._lock:
            self._add_up()
            news, self._news = tuple(self._news), []
            return news

    def __deepcopy__(self, _: object) -> Self:
        """A copy in this process is the same: calls go on to be told here."""
        return self

    def __reduce__(self) -> tuple[type[Tally], tuple[()]]:
        """One in another process begins at nothing: what was counted here is taken here."""
        return Tally, ()

    def _add_up(self, now: float = 0.0) -> None:
        usages, seconds = [self._usage], 0.0
        for told in sorted((self._queue.popleft() for _ in range(len(self._queue))), key=lambda told: told.at):
            seconds += self._passed(told.at)
            self._open += told.opens
            if told.cost is not _NOTHING:
                usages.append(_measured(told))
            if told.failed is not None:
                self._errors[told.failed] += 1
            new = [sentence for sentence in told.sentences if sentence not in self._said]
            self._said.update(new)
            self._news += new
        self._usage = added((*usages, Usage("teacher", seconds=seconds + self._passed(now))))

    def _passed(self, now: float) -> float:
        """Return the seconds since the last call of this in which a call was open; an earlier time passed already."""
        passed = max(0.0, now - self._since) if self._open else 0.0
        self._since = max(self._since, now)
        return passed


def _measured(told: Told) -> Usage:
    """What a call came to; where it was answered, with its latency, and its rates where its tokens are known."""
    usage, latency = told.cost, told.latency
    if not usage.samples or latency <= 0:
        return usage
    sketches: dict[str, Any] = {name: dict[str, int]() for name in SKETCHES}
    for name, value in zip(SKETCHES, (usage.tokens / latency, usage.received / latency, latency), strict=True):
        sketch.add(sketches[name], value)
    return attrs.evolve(usage, **sketches)
