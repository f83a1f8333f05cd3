"""Notices a hook that overruns its time budget while it still runs."""

from __future__ import annotations

import threading
import weakref
from typing import Protocol

from attrs import define, field

_SHORTEST, _LONGEST = 0.01, 1.0
_LOOKS = 8
"""How many times the watchdog looks within a budget: so much of it may pass unseen before a call is noticed."""


class Running(Protocol):
    """A call that runs: whose budget it has, in seconds (None: no limit)."""

    @property
    def time_budget(self) -> float | None: ...


class Watched(Protocol):
    """What makes calls: `running` returns the one that runs with a key that no other has, or None between calls.

    `overran` hears, in the watchdog's thread, of a call that goes on beyond its budget.
    """

    def running(self) -> tuple[Running, object] | None: ...
    def overran(self, running: Running) -> None: ...


@define(eq=False)
class Watchdog:
    """A thread that looks at what runs, and tells once of a call that outlasts its budget.

    Time is counted in looks: while the process is suspended nobody looks, so no call is blamed for it. C code that
    holds the interpreter's lock is noticed when it lets go. The thread ends with `stop`, or with what it watches.
    """

    watched: weakref.ref[Watched]
    shortest_budget: float
    _stop: threading.Event = field(init=False, factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def start(self) -> None:
        """Begin to look; twice is once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="steersman-watchdog", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _look(self) -> None:
        pause = min(max(self.shortest_budget / _LOOKS, _SHORTEST), _LONGEST)
        seen: object = None
        looks = 0
        while not self._stop.wait(pause):
            watched = self.watched()
            if watched is None:
                return
            now = watched.running()
            if now is None or now[1] != seen:
                seen, looks = now and now[1], 0
            else:
                looks += 1
                budget = now[0].time_budget
                if budget is not None and (looks - 1) * pause < budget <= looks * pause:
                    watched.overran(now[0])
            del watched, now
