"""One call to a teacher, from its begin to its end."""

from __future__ import annotations

from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Self, TypedDict

from attrs import define, field

from steersman.records import Usage
from steersman.teacher.tally import Tally, Told
from steersman.teacher.tokens import Tokens, counted, of_response, part

_NO_USAGE = "An answer of the teacher told no usage: its tokens are not known, and it is counted as unknown."
_FAULT = "The usage that the teacher told has no number of tokens {}: such answers are counted as unknown."
_FAILED = "A call to the teacher failed: {}. The tokens of calls that fail are not known."
_TOLD_LATE = (
    "Tokens of a call were told outside of its block: they are counted, and the answer as unknown all the same."
)
_TWICE = "A call told by hand had another within it: the inner one is counted, so that nothing is counted twice."

_by_hand: ContextVar[Call | None] = ContextVar("steersman_teacher_call", default=None)


class _Sums(TypedDict):
    tokens: int
    received: int
    cached_tokens: int


@define(eq=False, repr=False)
class Call:
    """A call that is told by hand: `with teacher() as call`, or `async with`.

    It lasts as long as the block. An exception that leaves the block makes the call an error, and is raised on.
    """

    _tally: Tally
    no_usage: str = field(init=False, default=_NO_USAGE)
    """What is said once where the answer told no usage."""
    _told: list[Tokens] = field(init=False, factory=list[Tokens])
    _retries: int = field(init=False, default=0)
    _is_hit: bool = field(init=False, default=False)
    _began: float | None = field(init=False, default=None)
    _outer: Call | None = field(init=False, default=None)
    _before: Call | None = field(init=False, default=None)
    _has_inner: bool = field(init=False, default=False)
    _inner_failed: bool = field(init=False, default=False)

    def used(self, response: object) -> None:
        """Take the tokens from the `usage` of a response: an object of the `openai` package, or its JSON as a dict.

        Several responses add up. None, and a response without a usage, leave the tokens unknown. Never raises.
        """
        self._tell(of_response(response))

    def spent(self, *, sent: int | None = None, received: int | None = None, cached: int | None = None) -> None:
        """Take tokens as numbers: sent, received, and those of the sent that the provider had in its cache."""
        self._tell(counted(sent=sent, received=received, cached=cached))

    def retried(self, n: int = 1) -> None:
        """Say that the call was made `n` times more. Raises ValueError where `n` is below 0."""
        if n < 0:
            raise ValueError(f"a call cannot be made {n} times more: expected 0 or more")
        self._retries += n
        if self._began is None:
            self._tally.tell(Told(perf_counter(), cost=Usage("teacher", retries=n)))

    def cache_hit(self) -> None:
        """Say that the answer came from a cache of your own: no call, no tokens."""
        self._is_hit = True

    def begin(self) -> Self:
        """Begin the call now, as entering its block does; one that had ended begins anew."""
        self._told, self._retries, self._is_hit = [], 0, False
        self._outer, self._has_inner, self._inner_failed = None, False, False
        outer = _by_hand.get()
        if outer is not None and outer._tally is self._tally and outer._began is not None:
            self._outer, outer._has_inner = outer, True
        self._began = perf_counter()
        self._tally.tell(Told(self._began, opens=1))
        return self

    def end(self, error: BaseException | None = None, at: float | None = None) -> None:
        """End the call now, or `at` seconds by `perf_counter`; answered or with an error. A second end is none."""
        began, self._began = self._began, None
        if began is None:
            return
        if error is not None and self._outer is not None:
            self._outer._inner_failed = True
        failed = None if error is None or self._inner_failed else _kind(error)
        now = perf_counter() if at is None else at
        cost = self._cost(is_answered=error is None, errors=int(failed is not None))
        sentences = self._sentences(cost, failed)
        self._tally.tell(Told(now, -1, cost, now - began, failed, sentences))

    def _cost(self, *, is_answered: bool, errors: int) -> Usage:
        if self._has_inner:
            return Usage("teacher", retries=self._retries, errors=errors)
        if is_answered and self._is_hit:
            return Usage("teacher", retries=self._retries, cache_hits=1)
        is_known = any(each.is_told for each in self._told) and not self._faults
        return Usage(
            "teacher",
            **_sums(self._told),
            samples=int(is_answered),
            retries=self._retries,
            errors=errors,
            unknown=int(is_answered and not is_known),
        )

    @property
    def _faults(self) -> list[str]:
        return sorted({fault for each in self._told for fault in each.faults})

    def _sentences(self, cost: Usage, failed: str | None) -> list[str]:
        if self._has_inner:
            return [_TWICE]
        said = [_FAULT.format(fault) for fault in self._faults]
        if cost.unknown and not said:
            said.append(self.no_usage)
        return [*said, _FAILED.format(failed)] if failed is not None else said

    def _tell(self, tokens: Tokens) -> None:
        if self._began is not None:
            self._told.append(tokens)
        elif tokens.is_told and not self._has_inner:
            self._tally.tell(Told(perf_counter(), cost=Usage("teacher", **_sums([tokens])), sentences=[_TOLD_LATE]))

    def __enter__(self) -> Self:
        """Begin the call."""
        self.begin()
        self._before = _by_hand.get()
        _by_hand.set(self)
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """End the call; an exception is raised on."""
        _by_hand.set(self._before)
        self.end(error)

    async def __aenter__(self) -> Self:
        """Begin the call."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the call; an exception is raised on."""
        self.__exit__(kind, error, traceback)


def _sums(told: list[Tokens]) -> _Sums:
    return {
        "tokens": sum(each.sent or 0 for each in told),
        "received": sum(each.received or 0 for each in told),
        "cached_tokens": sum(each.cached or 0 for each in told),
    }


def _kind(error: BaseException) -> str:
    """What an error is called; never what it says, which may quote a key."""
    status = part(error, "status_code")
    name = type(error).__name__
    return f"{name} (status {status})" if isinstance(status, int) else name
