"""One strategy as a text on the command line: `NAME`, `NAME:key=value,...`, `NAME as other`, `FILE.py:Class`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from steersman.config.layers import Source
from steersman.config.yaml_text import loads, told

_FILE = ".py:"
_OPENS, _CLOSES, _QUOTES = "[{", "]}", "\"'"


def parsed(text: str) -> str | dict[str, dict[str, Any]]:
    """Return the entry of `use:` that a text stands for: the name, or the name with its table of options.

    Values are YAML: `5`, `1e-4`, `true`, `"on"`, `[a, b]`; a comma inside quotes or brackets separates nothing.
    Raises ValueError with a sentence that names the character where it goes wrong.
    """
    begin = text.find(_FILE)
    is_file = begin >= 0 and "=" not in text[:begin]
    colon = text.find(":", begin + len(_FILE) if is_file else 0)
    target = (text if colon < 0 else text[:colon]).strip()
    if not target or (is_file and target.endswith(":")):
        missing = "the name of a class after `.py:`" if target else "the name of a strategy"
        raise ValueError(_at(text, max(colon, 0) if target else 0, f"expected {missing}"))
    if colon < 0:
        return target
    options: dict[str, Any] = {}
    for start, part in _parts(text, colon + 1):
        key, equals, value = part.partition("=")
        key, lead = key.strip(), len(part) - len(part.lstrip())
        if not key or not equals:
            hint = f"; a file names its class too: {text}:MyClass" if text.endswith(".py") else ""
            raise ValueError(_at(text, start + lead, f"expected key=value{hint}"))
        if key in options:
            raise ValueError(_at(text, start + lead, f"the option {key!r} is there twice"))
        options[key] = _value(text, start + part.index("=") + 1, key, value)
    return {target: options}


def with_use(config: Path | None, texts: Sequence[str]) -> Source:
    """Return the source of a config whose strategies are what `texts` say, in their order; all else is of `config`.

    A `score:` in it is a strategy too, and is replaced with them. Without texts it is `config` itself.
    Raises ValueError as `parsed` does.
    """
    if not texts:
        return config
    below: Mapping[str, Any] = {} if config is None else {"extends": [config.absolute().as_posix()], "score": None}
    return {**below, "use": [parsed(text) for text in texts]}


def _parts(text: str, begin: int) -> Iterator[tuple[int, str]]:
    """Yield where each option begins and its text: what stands between commas outside of quotes and brackets."""
    depth, quote, start = 0, "", begin
    for at in range(begin, len(text)):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES and text[start:at].rstrip().endswith(("=", ",", ":", *_OPENS)):
            quote = char
        elif char == "," and depth == 0:
            yield start, text[start:at]
            start = at + 1
        depth += (char in _OPENS) - (char in _CLOSES) if not quote else 0
    yield start, text[start:]


def _value(text: str, at: int, key: str, value: str) -> object:
    if not value.strip():
        raise ValueError(_at(text, at, f"the option {key!r} has no value; give null or '' if you mean that"))
    try:
        return loads(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(_at(text, at, f"the value of {key!r} is no YAML, {told(error)}")) from None


def _at(text: str, index: int, problem: str) -> str:
    got = repr(text[index:]) if text[index:].strip() else "nothing"
    return f"{text!r}, character {index + 1}: {problem}, got {got}"
