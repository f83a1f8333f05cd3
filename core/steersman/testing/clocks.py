"""The clock, which a strategy must not depend on: another year, weekday and hour, and an hour on at each look."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any
from unittest import mock

_DATETIME, _DATE = datetime.datetime, datetime.date
_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_LATER = 400 * 86_400 + 26_300
"""Seconds by which the clock is moved: another year, weekday and hour of the day."""
_AT_EACH_LOOK = 3_601
"""Seconds by which it goes on each time it is looked at, so that a run of seconds seems to last for days."""


@contextlib.contextmanager
def another_time(module: ModuleType | None) -> Generator[None]:
    """Move the clock, also where `module` has imported it by name."""
    _looks[0] = 0
    moved: dict[object, object] = {datetime.datetime: _LaterDatetime, datetime.date: _LaterDate}
    with contextlib.ExitStack() as stack:
        for name in _CLOCKS:
            for clock, second in ((name, 1), (f"{name}_ns", 10**9)):
                function = getattr(time, clock)
                moved[function] = _later(function, second)
                stack.enter_context(mock.patch.object(time, clock, moved[function]))
        for name in ("localtime", "gmtime"):
            function = getattr(time, name)
            moved[function] = _from_now(function)
            stack.enter_context(mock.patch.object(time, name, moved[function]))
        for name in ("datetime", "date"):
            stack.enter_context(mock.patch.object(datetime, name, moved[getattr(datetime, name)]))
        for name, value in list(vars(module).items()) if module is not None else ():
            if callable(value) and _is_hashable(value) and value in moved:
                stack.enter_context(mock.patch.object(module, name, moved[value]))
        yield


_looks = [0]


def _moved_by() -> int:
    """Return how many seconds later it is now than it really is."""
    _looks[0] += 1
    return _LATER + _AT_EACH_LOOK * _looks[0]


def _later(function: Callable[[], Any], second: int) -> Callable[[], Any]:
    return lambda: function() + second * _moved_by()


def _from_now(function: Callable[[float], Any]) -> Callable[..., Any]:
    def moved(seconds: float | None = None) -> Any:
        return function(time.time() if seconds is None else seconds)

    return moved


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


class _Either(type):
    """Lets the moved classes pass for the real ones."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _LaterDatetime(datetime.datetime, metaclass=_Either):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return _DATETIME.now(tz) + datetime.timedelta(seconds=_moved_by())

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _LaterDate(datetime.date, metaclass=_Either):
    @classmethod
    def today(cls) -> Any:
        return _DATETIME.now().date() + datetime.timedelta(seconds=_moved_by())
