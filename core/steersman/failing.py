"""What a failure of a strategy is, and how it is told."""

from __future__ import annotations

from attrs import frozen

from steersman.loaded import Loaded


class StrategyError(Exception):
    """A strategy failed and `on_error` is `raise`; the cause is its own exception."""


@frozen
class Failure:
    """A strategy raised, or returned what it may not."""

    loaded: Loaded
    hook: str
    error: BaseException
    count: int
    quarantined: bool


def message_of(error: BaseException) -> str:
    """Return the message of an error, also of one whose own text cannot be made."""
    try:
        return str(error)
    except Exception:
        return f"a {type(error).__name__} whose text cannot be made"


def told(error: BaseException) -> str:
    """Return the type and the message of an error."""
    return f"{type(error).__name__}: {message_of(error)}"


def shown(value: object) -> str:
    """Return the type of a value and the beginning of its text, also where that cannot be made."""
    try:
        text = repr(value)
    except Exception:
        text = "(its repr cannot be made)"
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"
