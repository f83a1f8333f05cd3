"""A teacher: what gives scores or answers to a training run, and is paid by the token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define, field

from steersman.records import Usage
from steersman.teacher.call import Call
from steersman.teacher.clients import recorded
from steersman.teacher.tally import Tally

_Client = TypeVar("_Client")


@define(eq=False, repr=False)
class Teacher:
    """Records calls to a teacher, from any thread or task, before a run begins and while it goes on.

    It keeps numbers alone: no key, header, prompt or answer. Hand it to the run that shall account for it:
    `steersman.supervise(trainer, config, teacher=teacher)`.
    """

    _tally: Tally = field(init=False, factory=Tally)

    def __call__(self) -> Call:
        """Return a call to tell by hand: `with teacher() as call: call.used(ask())`."""
        return Call(self._tally)

    def wrap(self, client: _Client) -> _Client:
        """Return a client like this one, of the `openai` package from 1.78 on, whose calls are recorded.

        The client that was given stays as it is; both share their connections. Recorded are chat completions,
        completions, responses and embeddings, streams included. One that was wrapped before is recorded by this
        teacher instead. Raises TypeError where `client` is no `OpenAI` or `AsyncOpenAI` client.
        """
        return recorded(client, self._tally)

    @property
    def errors(self) -> Mapping[str, int]:
        """How many calls failed since this teacher was made, by kind: an exception's class, and its HTTP status."""
        return self._tally.errors()

    def take(self) -> Usage:
        """Return what was counted since the last take; the tokens of a call that is still open belong to the next."""
        return self._tally.take()

    def pending(self) -> Usage:
        """Return what the next `take` would return now."""
        return self._tally.pending()

    def resume(self, held: Mapping[str, Any]) -> None:
        """Add what a saved state held: the fields of a `Usage`; what is missing is 0."""
        self._tally.resume(held)

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said, each sentence once."""
        return self._tally.notes()

    def step_ended(self) -> None:
        """Nothing ends with a step."""

    def release(self) -> None:
        """Nothing is held."""
