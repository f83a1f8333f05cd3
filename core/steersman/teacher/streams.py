"""Answers of an `openai` client that are read later: streams, and raw responses the caller reads by itself.

The call ends when a stream was read to its end, broke, was closed or dropped; or when a raw response is closed.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable
from time import perf_counter
from types import TracebackType
from typing import Any

from attrs import define, field

from steersman.teacher.call import Call
from steersman.teacher.disguise import behind, disguise
from steersman.teacher.tokens import part

_NO_USAGE = (
    "A stream of the teacher told no usage: its tokens are not known, and it is counted as unknown. "
    'Ask for it with stream_options={"include_usage": True}, and read the stream to its end.'
)
_FAILURES = ("error", "response.failed")


class FailedResponse(Exception):
    """What a stream tells as an event instead of raising it."""


@define(eq=False, repr=False)
class Watch:
    """A call whose answer is still being read; as a context, the wait for its next event."""

    call: Call
    heard: float | None = None
    """When the last event of a stream came, in seconds by `perf_counter`."""
    _usage: Any = field(init=False, default=None)
    _is_waiting: bool = field(init=False, default=False)
    _failure: FailedResponse | None = field(init=False, default=None)

    def __enter__(self) -> None:
        """Wait: a connection that closes now was closed from within."""
        self._is_waiting = True

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """End the call where there is no next event."""
        self._is_waiting = False
        if error is not None:
            self._end(None if isinstance(error, StopIteration | StopAsyncIteration) else error)

    def received(self, event: object) -> None:
        """Take what one event tells: the usage so far, so that the last counts."""
        kind = part(event, "type")
        usage = part(event if kind is None else part(event, "response"), "usage")
        self._usage = usage or self._usage
        if kind in _FAILURES:
            self._failure = FailedResponse()
        self.heard = perf_counter()

    def closed(self, body: object = None) -> None:
        """End the call where its answer was closed from without, or dropped: with the last event of a stream.

        `body` is what was read, if it was read whole.
        """
        if not self._is_waiting:
            self._usage = self._usage or part(body, "usage")
            self._end(at=self.heard)

    def _end(self, error: BaseException | None = None, at: float | None = None) -> None:
        if self._usage is not None:
            self.call.used({"usage": self._usage})
            self._usage = None
        self.call.end(error or self._failure, at)


def is_stream(answer: object) -> bool:
    """Whether this is a stream of the package, for threads or for tasks."""
    return hasattr(type(answer), "__next__") or hasattr(type(answer), "__anext__")


def watch_stream(stream: Any, watch: Watch) -> None:
    """Watch a stream until it is read, breaks, or is closed."""
    watch.call.no_usage, watch.heard = _NO_USAGE, perf_counter()
    if behind(stream) is None:
        disguise(stream, _async_stream_methods if hasattr(stream, "__anext__") else _stream_methods, watch)
    if behind(stream.response) is None:
        disguise(stream.response, _closing_methods, watch)


def watch_raw(answer: Any, watch: Watch) -> None:
    """Watch a raw response that was not read yet, and the stream that may be parsed from it."""
    disguise(answer, _raw_methods, watch)
    if not hasattr(answer, "close"):
        disguise(answer.http_response, _closing_methods, watch)


def body_of(response: Any) -> Any:
    """Return the parsed JSON of an HTTP response; None where it was not read, or is none."""
    try:
        return json.loads(response.content)
    except Exception:  # the HTTP library says in its own way that nothing was read
        return None


def _stream_methods(kind: Any) -> dict[str, Any]:
    def __next__(self: Any) -> Any:
        with behind(self):
            event = kind.__next__(self)
        behind(self).received(event)
        return event

    return {"__next__": __next__, "__iter__": _itself, "__del__": _dropped}


def _async_stream_methods(kind: Any) -> dict[str, Any]:
    async def __anext__(self: Any) -> Any:
        with behind(self):
            event = await kind.__anext__(self)
        behind(self).received(event)
        return event

    return {"__anext__": __anext__, "__aiter__": _itself, "__del__": _dropped}


def _itself(self: Any) -> Any:
    return self


def _dropped(self: Any) -> None:
    behind(self).closed()


def _raw_methods(kind: Any) -> dict[str, Any]:
    def parse(self: Any, *args: Any, **options: Any) -> Any:
        parsed = kind.parse(self, *args, **options)
        return _later(parsed, behind(self)) if inspect.isawaitable(parsed) else _seen(parsed, behind(self))

    return {"parse": parse, **_closing_methods(kind)}


async def _later(parsed: Awaitable[Any], watch: Watch) -> Any:
    return _seen(await parsed, watch)


def _seen(parsed: Any, watch: Watch) -> Any:
    if is_stream(parsed):
        watch_stream(parsed, watch)
    return parsed


def _closing_methods(kind: Any) -> dict[str, Any]:
    return {name: _closing(getattr(kind, name)) for name in ("close", "aclose") if hasattr(kind, name)}


def _closing(close: Any) -> Any:
    async def aclosing(self: Any) -> None:
        try:
            await close(self)
        finally:
            behind(self).closed(body_of(getattr(self, "http_response", None)))

    def closing(self: Any) -> None:
        try:
            close(self)
        finally:
            behind(self).closed(body_of(getattr(self, "http_response", None)))

    return aclosing if inspect.iscoroutinefunction(close) else closing
