"""The clock, which a strategy must not depend on, moved to another year, weekday and hour."""

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


@contextlib.contextmanager
def another_time(module: ModuleType | None) -> Generator[None]:
    """Move the clock, also where `module` has imported it by name."""
    moved: dict[object, object] = {datetime.datetime: _LaterDatetime, datetime.date: _LaterDate}
    with contextlib.ExitStack() as stack:
        for name in _CLOCKS:
            for clock, by in ((name, _LATER), (f"{name}_ns", _LATER * 10**9)):
                function = getattr(time, clock)
                moved[function] = _later(function, by)
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


def _later(function: Callable[[], Any], by: int) -> Callable[[], Any]:
    return lambda: function() + by


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
        return _DATETIME.now(tz) + datetime.timedelta(seconds=_LATER)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _LaterDate(datetime.date, metaclass=_Either):
    @classmethod
    def today(cls) -> Any:
        return _DATE.today() + datetime.timedelta(seconds=_LATER)
