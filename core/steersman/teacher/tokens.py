"""How many tokens a response says it took: in the spelling of chat completions, of responses, or of a plain dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from attrs import frozen

from steersman.records import number

_SENT = ("prompt_tokens", "input_tokens")
_RECEIVED = ("completion_tokens", "output_tokens")
_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_MOST = 10**9
"""No call has more tokens than this; what says so is no count."""


@frozen
class Tokens:
    """Tokens of one answer; `cached` are among `sent`. `faults` names what was told and is no number of tokens."""

    sent: int | None = None
    received: int | None = None
    cached: int | None = None
    faults: tuple[str, ...] = ()

    @property
    def is_told(self) -> bool:
        """Whether anything is known."""
        return self.sent is not None or self.received is not None


def part(thing: object, name: str) -> Any:
    """Return a part of an object or a mapping, None where it has none or does not give it. Never raises."""
    try:
        return cast("Mapping[str, Any]", thing).get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
    except Exception:  # whatever an object of somebody else does when it is looked at
        return None


def of_response(response: object) -> Tokens:
    """Return what the `usage` of a response says: an object of the `openai` package, or parsed JSON. Never raises."""
    usage = part(response, "usage")
    return Tokens() if usage is None else _of_usage(usage)


def counted(**told: object) -> Tokens:
    """Return the tokens `sent`, `received` and `cached`; what is neither None nor a whole number is a fault.

    So are more cached than sent.
    """
    counts = {name: _count(value) for name, value in told.items()}
    sent, cached = counts.get("sent"), counts.get("cached")
    if sent is not None and cached is not None and cached > sent:
        counts["cached"] = None
    faults = tuple(name for name, value in told.items() if value is not None and counts[name] is None)
    return Tokens(**counts, faults=faults)


def _of_usage(usage: object) -> Tokens:
    sent, received, details = (_first(usage, names) for names in (_SENT, _RECEIVED, _DETAILS))
    told = counted(sent=sent, received=received, cached=part(details, "cached_tokens"))
    if told.sent is None and "sent" not in told.faults:
        return Tokens(None, told.received, told.cached, (*told.faults, "sent"))
    if received is None:  # as of embeddings, which tell a total instead
        total = _count(part(usage, "total_tokens"))
        if total is None or total < (told.sent or 0):
            return Tokens(told.sent, None, told.cached, (*told.faults, "received"))
        return Tokens(told.sent, total - (told.sent or 0), told.cached, told.faults)
    return told


def _first(thing: object, names: tuple[str, ...]) -> Any:
    return next((value for name in names if (value := part(thing, name)) is not None), None)


def _count(value: object) -> int | None:
    as_number = number(value)
    return int(as_number) if as_number is not None and 0 <= as_number <= _MOST and as_number.is_integer() else None
