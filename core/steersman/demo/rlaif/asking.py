"""What is asked of a teacher about a completion, and what its answer comes to."""

from __future__ import annotations

import json
import math
import re
from typing import Any

INSTRUCTION = (
    "You score how well a student goes on with a text. It should write plain English words and not repeat itself. "
    'You get a JSON object with "prompt" and "completion". Answer with one number from 0 (worst) to 1 (best) and '
    "nothing else."
)
"""What every teacher is told first."""
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?", re.I)


class NoScore(ValueError):
    """An answer that is no number from 0 to 1."""


def messages(prompt: str, completion: str) -> list[dict[str, str]]:
    """Return the messages that ask for the score of one completion."""
    asked = json.dumps({"prompt": prompt, "completion": completion}, ensure_ascii=False)
    return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": asked}]


def completion_in(request: Any) -> str:
    """Return the completion that a request asks about. Raises ValueError where it asks nothing of that kind."""
    try:
        return str(json.loads(request["messages"][-1]["content"])["completion"])
    except (LookupError, TypeError, ValueError):
        raise ValueError('the last message must be a JSON object with "prompt" and "completion"') from None


def score_in(answer: str | None) -> float:
    """Return the score that an answer gives: its one number, which must be from 0 to 1.

    Raises NoScore where there is no number, more than one, or one that is no such score, NaN among them.
    """
    found = _NUMBER.findall(answer or "")
    value = float(found[0]) if len(found) == 1 else math.nan
    if not 0 <= value <= 1:
        raise NoScore(f"the answer {(answer or '')[:40]!r} is no number from 0 to 1")
    return value
