"""A client of the `openai` package whose calls are recorded.

Every resource of such a client asks through its public `post`; the hook `_prepare_request` is called once for each
attempt, so that the retries the client made are counted whether it had success or not. Both are there from openai 1.78
to 3.57 at least.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, TypeVar, cast

from attrs import define

from steersman.teacher.answers import heard
from steersman.teacher.call import Call
from steersman.teacher.disguise import behind, disguise, kind_of
from steersman.teacher.tally import Tally
from steersman.teacher.tokens import part

_RECORDED = ("/chat/completions", "/completions", "/responses", "/embeddings")
_Client = TypeVar("_Client")


@define(eq=False)
class _Attempts:
    """How often one call was sent."""

    call: Call
    sent: int = 0


_attempts: ContextVar[_Attempts | None] = ContextVar("steersman_teacher_attempts", default=None)


def recorded(client: _Client, tally: Tally) -> _Client:
    """Return a client like this one whose calls are counted; raises TypeError where it is none of `openai`."""
    kind: Any = kind_of(client)
    if not (hasattr(kind, "_prepare_request") and isinstance(getattr(kind, "chat", None), cached_property)):
        raise TypeError(
            f"expected an OpenAI or AsyncOpenAI client of the openai package, 1.78 or later, not a {kind.__name__}; "
            "for another one use `with teacher() as call`"
        )
    mine: Any = copy.copy(client)
    for name in vars(client):
        if isinstance(getattr(kind, name, None), cached_property):
            delattr(mine, name)  # a resource that asks through the client it was made for
    mine.__class__ = kind
    disguise(mine, _async_methods if inspect.iscoroutinefunction(kind.post) else _sync_methods, tally)
    return cast("_Client", mine)


@contextmanager
def _sending(client: Any, path: str) -> Generator[Call | None]:
    """The call that is made by posting to this path, while it is sent; None where such calls are not recorded."""
    tally = behind(client)
    if tally is None or not path.partition("?")[0].rstrip("/").endswith(_RECORDED):
        yield None
        return
    attempts = _Attempts(Call(tally).begin())
    token = _attempts.set(attempts)
    try:
        yield attempts.call
    except BaseException as error:
        completion = part(error, "completion")  # an answer came that could not be used
        if completion is not None:
            attempts.call.used(completion)
        attempts.call.end(error)
        raise
    finally:
        _attempts.reset(token)


def _sync_methods(kind: Any) -> dict[str, Any]:
    def post(self: Any, path: str, *args: Any, **options: Any) -> Any:
        with _sending(self, path) as call:
            answer = kind.post(self, path, *args, **options)
        return answer if call is None else heard(answer, call)

    return {"post": post, **_methods(kind)}


def _async_methods(kind: Any) -> dict[str, Any]:
    async def post(self: Any, path: str, *args: Any, **options: Any) -> Any:
        with _sending(self, path) as call:
            answer = await kind.post(self, path, *args, **options)
        return answer if call is None else heard(answer, call)

    return {"post": post, **_methods(kind)}


def _methods(kind: Any) -> dict[str, Any]:
    def _prepare_request(self: Any, *args: Any, **options: Any) -> Any:
        attempts = _attempts.get()
        if attempts is not None:
            attempts.sent += 1
            attempts.call.retried(int(attempts.sent > 1))
        return kind._prepare_request(self, *args, **options)

    def copy(self: Any, *args: Any, **options: Any) -> Any:
        made = kind.copy(self, *args, **options)
        tally = behind(self)
        return made if tally is None else recorded(made, tally)

    return {"_prepare_request": _prepare_request, "copy": copy, "with_options": copy}
