"""JSON with bare NaN and Infinity, as Python's trainers write it, at the speed of a reader that refuses them.

Where the fast reader refuses a text, each such word is written as a whole number that occurs nowhere in it, so that
what is read as that number can only have been the word.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, cast

import orjson

_WORDS = ((b"NaN", 9223372036854775301), (b"Infinity", 9223372036854775302))
_BEFORE = (b" ", b":", b",", b"[", b"\n", b"\t")
_AFTER = (b" ", b",", b"}", b"]", b"\n", b"\r", b"\t")
_STANDS_FOR: dict[object, float] = {_WORDS[0][1]: math.nan, _WORDS[1][1]: math.inf, -_WORDS[1][1]: -math.inf}


class Parsed(NamedTuple):
    """What was read; where `is_marked`, whole numbers stand for what is not finite until it is `unmarked`."""

    value: object
    is_marked: bool


def loads(text: bytes) -> Parsed:
    """Return what a JSON text holds. Raises ValueError or RecursionError where it is none."""
    try:
        return Parsed(orjson.loads(text), is_marked=False)
    except orjson.JSONDecodeError:
        marked = _marked(text)
    if marked is not None:
        try:
            return Parsed(orjson.loads(marked), is_marked=True)
        except orjson.JSONDecodeError:
            pass
    return Parsed(json.loads(text), is_marked=False)


def unmarked(value: object) -> Any:
    """Return a marked value as the text has it."""
    if isinstance(value, dict):
        return {unmarked_text(k): unmarked(v) for k, v in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [unmarked(item) for item in cast("list[object]", value)]
    return unmarked_text(value) if isinstance(value, str) else _STANDS_FOR.get(value, value)


def unmarked_values(values: list[object]) -> list[object]:
    """Return marked values as the text has them, but for what is inside of text, lists and objects."""
    return [_STANDS_FOR.get(value, value) if type(value) is int else value for value in values]


def unmarked_text(text: str) -> str:
    """Return marked text as it was."""
    for word, number in _WORDS:
        text = text.replace(str(number), word.decode())
    return text


def _are_all(count: int, beside: list[bytes], text: bytes) -> bool:
    """Whether words that occur so often occur nowhere but beside what may stand there."""
    for word in beside:
        count -= text.count(word)
        if not count:
            return True
    return False


def _marked(text: bytes) -> bytes | None:
    """Return the text with a number for each word, or None where a word may be a part of something else."""
    found = False
    for word, number in _WORDS:
        count = text.count(word)
        if not count:
            continue
        before = _BEFORE if word == b"NaN" else (*_BEFORE, b"-")
        mark = str(number).encode()
        sides = [b + word for b in before], [word + a for a in _AFTER]
        if mark in text or not all(_are_all(count, side, text) for side in sides):
            return None
        text, found = text.replace(word, mark), True
    return text if found else None
