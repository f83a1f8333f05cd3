"""A trainer_state.json of any size: the entries of its log in portions, so that a long log is never whole in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from steersman.readers import content
from steersman.readers.json_numbers import Parsed, loads, unmarked
from steersman.readers.recording import UnreadableRun

Take = Callable[[Parsed], None]
"""Takes a portion of the log: a list of entries, marked or not."""

PORTION = 1 << 20
"""Bytes that are read at a time."""
_SMALL = 1 << 16
_LONGEST = 64 * PORTION
_HISTORY = b'"log_history"'
_BEGIN = re.compile(_HISTORY + rb"\s*:\s*\[")
_BORDER = re.compile(rb"\}\s*,\s*\{")


def read(path: Path, take: Take, begin_anew: Callable[[], None]) -> Mapping[str, Any]:
    """Return the JSON object in a file, its `log_history` handed to `take` in portions and left out where it is a list.

    `begin_anew` is called where what was taken must be forgotten. Raises UnreadableRun where the file cannot be read or
    holds no object. Bare NaN and Infinity are read, as the Trainer writes them.
    """
    with content.opened(path) as file:
        text = file.read(_SMALL)
        if text.startswith(content.LFS):
            raise UnreadableRun(path, content.IS_LFS)
        is_long = len(text) == _SMALL and len(text := text + file.read(2 * PORTION - _SMALL)) == 2 * PORTION
        state = _in_portions(text, file, take) if is_long else None
        if state is not None:
            return state
        if not is_long:
            text += file.read()
    if is_long:
        if not path.is_file():
            raise UnreadableRun(path, "it is no trainer state that can be read from a pipe, once and in order")
        begin_anew()
        with content.opened(path) as file:
            text = file.read()
    try:
        whole = loads(text)
    except RecursionError:
        raise UnreadableRun(path, "it is no log: lists or objects are nested in it too deep") from None
    except ValueError as error:
        raise UnreadableRun(path, f"it is no JSON: {error}") from None
    if not isinstance(whole.value, dict):
        raise UnreadableRun(path, f"expected a JSON object, got {type(whole.value).__name__}")
    return _without_log(whole, take)


def _in_portions(read: bytes, file: BinaryIO, take: Take) -> dict[str, Any] | None:
    """Return the state without its log, which is taken in portions; None where that cannot be proven to be all of it.

    The text before the log is proven by closing it at once, each portion by being a list of whole entries, and what is
    left by the object it ends.
    """
    begin = _BEGIN.search(read)
    if begin is None:
        return None
    try:
        state = unmarked(loads(read[: begin.end()] + b"]}").value)
        if not isinstance(state, dict) or cast("dict[str, object]", state).pop("log_history", None) != []:
            return None
        left = read[begin.end() :]
        while more := file.read(PORTION):
            left += more
            border = _last_border(left)
            if border is not None:
                try:
                    portion = loads(b"[" + left[: border.start() + 1] + b"]")
                except (ValueError, RecursionError):  # the log ends before
                    left += file.read()
                    break
                take(portion)
                left = left[border.end() - 1 :]
            elif len(left) > _LONGEST:
                return None
        rest = loads(b"{" + _HISTORY + b":[" + left)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rest.value, dict) or _HISTORY in left:
        return None
    return {**state, **_without_log(rest, take)}


def _without_log(parsed: Parsed, take: Take) -> dict[str, Any]:
    """Return a state without its log, which is taken where it is a list."""
    state = cast("dict[str, object]", parsed.value)
    history = state.get("log_history")
    if isinstance(history, list):
        del state["log_history"]
        take(Parsed(cast("object", history), parsed.is_marked))
    return unmarked(state) if parsed.is_marked else state


def _last_border(text: bytes) -> re.Match[bytes] | None:
    """Return the last place in a text that may be the border between two entries."""
    end = len(text)
    while (at := text.rfind(b"}", 0, end)) >= 0:
        if border := _BORDER.match(text, at):
            return border
        end = at
    return None
