"""A secret option: the name of an environment variable, and never what it holds."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, cast

from attrs import field, frozen

_MASK = "***"
_SHORTEST = 8
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.I)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_revealed: set[str] = set()


def _is_a_name(_: object, __: object, value: Any) -> None:
    if not isinstance(value, str) or not value or "=" in value:
        raise ValueError("expected the name of an environment variable")


@frozen
class Secret:
    """An option that comes from the environment: `{env: NAME}` in a config, `Secret("NAME")` in Python.

    It holds the name alone, so that it may be printed, pickled and journaled. Raises ValueError for an empty name.
    """

    env: str = field(validator=_is_a_name)

    def reveal(self) -> str:
        """Return the text of the environment variable.

        From then on the journal masks it wherever a strategy or an exception quotes it, if it has 8 characters or more:
        a shorter one would be masked inside of ordinary words.
        Raises ValueError where the variable is not set or empty.
        """
        text = os.environ.get(self.env, "")
        if not text:
            raise ValueError(f"the environment variable {self.env} is not set")
        if len(text) >= _SHORTEST:
            _revealed.add(text)
        return text


def from_config(value: object, _: object) -> Secret:
    """Return the secret that a config names; raises ValueError, never with what was given, which may be one."""
    if isinstance(value, Secret):
        return value
    given = dict(cast("Mapping[object, object]", value)) if isinstance(value, Mapping) else {}
    name = given.pop("env", None)
    if given or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("is a secret: give the environment variable that holds it, {env: NAME}, not the secret itself")
    secret = Secret(name)
    secret.reveal()
    return secret


def masked(value: Any) -> Any:
    """Return `value` with every secret that was revealed so far masked, in whatever text it holds."""
    if not _revealed:
        return value
    if isinstance(value, str):
        for secret in _revealed:
            value = value.replace(secret, _MASK)
        return value
    if isinstance(value, Mapping):
        return {masked(key): masked(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        items = [masked(item) for item in cast("list[object]", value)]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def address(url: str) -> str:
    """Return a URL without what may be secret: user info, query and fragment."""
    return re.sub(r"^([a-z][a-z0-9+.-]*://)?.*@", r"\1", re.split(r"[?#]", url, maxsplit=1)[0], flags=re.I)


def told(error: BaseException) -> str:
    """Return the name of an exception and what it says in one line, revealed secrets and those in URLs masked."""
    says = _URL.sub(lambda url: address(url[0]), masked(" ".join(str(error).split())))
    return f"{type(error).__name__}: {says}" if says else type(error).__name__
