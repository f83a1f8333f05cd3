"""Notices a hook that overruns its time budget while it still runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from attrs import define, field

_SHORTEST, _LONGEST = 0.01, 1.0
_LOOKS = 8
"""How many times the watchdog looks within a budget: so much of it may pass unseen before a call is noticed."""


class Running(Protocol):
    """A call that runs: whose budget it has, in seconds (None: no limit)."""

    @property
    def time_budget(self) -> float | None: ...


@define(eq=False)
class Watchdog:
    """A thread that looks at what runs, and tells `overran` once of a call that outlasts its budget.

    `running` returns the call and a key that no other call has, or None between calls. Time is counted in
    looks: while the process is suspended nobody looks, so no call is blamed for it. C code that holds the interpreter's
    lock is noticed when it lets go.
    """

    running: Callable[[], tuple[Running, object] | None]
    overran: Callable[[Running], None]
    shortest_budget: float
    _stop: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

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
            now = self.running()
            if now is None or now[1] != seen:
                seen, looks = now and now[1], 0
                continue
            looks += 1
            budget = now[0].time_budget
            if budget is not None and (looks - 1) * pause < budget <= looks * pause:
                self.overran(now[0])
