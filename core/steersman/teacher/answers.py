"""What an answer of an `openai` client is, known by what it has, so that the package need not be imported."""

from __future__ import annotations

from typing import Any

from steersman.teacher.call import Call
from steersman.teacher.disguise import kind_of
from steersman.teacher.streams import Watch, body_of, is_stream, watch_raw, watch_stream


def heard(answer: Any, call: Call) -> Any:
    """Take what an answer tells, and end its call: at once, or when the answer was read. Never raises."""
    try:
        _hear(answer, call)
    except Exception:  # an answer as no version of the package gives that we know
        call.end()
    return answer


def _hear(answer: Any, call: Call) -> None:
    raw = answer.http_response if hasattr(kind_of(answer), "parse") else None
    if is_stream(answer):
        watch_stream(answer, Watch(call))
    elif raw is not None and not raw.is_closed:
        watch_raw(answer, Watch(call))
    else:
        call.used(answer if raw is None else body_of(raw))
        call.end()
