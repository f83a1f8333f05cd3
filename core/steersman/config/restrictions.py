"""What a validator lets pass, as far as it tells: for the JSON Schema of an option, and for its description."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from typing import Any, cast

from attrs import evolve, frozen, validators

from steersman.validating import Within

_NUMBER: Any = type(validators.ge(0))
_ONE_OF: Any = type(validators.in_(()))
_AND: Any = type(cast("object", validators.and_()))
_OPTIONAL: Any = type(validators.optional(validators.min_len(0)))
_SHORTEST: Any = type(validators.min_len(0))
_LONGEST: Any = type(validators.max_len(0))
_PATTERN: Any = type(validators.matches_re(""))


@frozen
class Restriction:
    """What a value must be beyond its type; None is no restriction. `above` and `below` exclude the number itself."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    one_of: tuple[Any, ...] | None = None
    shortest: int | None = None
    longest: int | None = None
    pattern: str | None = None

    def __str__(self) -> str:
        parts = [
            f"at least {self.at_least:g}" if self.at_least is not None else "",
            f"above {self.above:g}" if self.above is not None else "",
            f"at most {self.at_most:g}" if self.at_most is not None else "",
            f"below {self.below:g}" if self.below is not None else "",
            f"one of {', '.join(map(str, self.one_of))}" if self.one_of is not None else "",
            f"of length {self.shortest} at least" if self.shortest is not None else "",
            f"of length {self.longest} at most" if self.longest is not None else "",
            f"that matches {self.pattern}" if self.pattern is not None else "",
        ]
        return " and ".join(part for part in parts if part)


def restriction_of(validator: Callable[..., Any] | None) -> Restriction:
    """Return what a validator tells of itself: one of Steersman's or of attrs; any other restricts in its own way."""
    return _with(Restriction(), validator)


def _with(known: Restriction, validator: Any) -> Restriction:
    if isinstance(validator, Within):
        known = _number(known, ">" if validator.open_below else ">=", validator.least)
        return _number(known, "<=", validator.greatest)
    if isinstance(validator, _AND):
        return functools.reduce(_with, validator._validators, known)
    if isinstance(validator, _OPTIONAL):
        return _with(known, validator.validator)
    if isinstance(validator, _NUMBER):
        return _number(known, validator.compare_op, validator.bound)
    if isinstance(validator, _ONE_OF):
        choices: tuple[Any, ...] = () if isinstance(validator.options, str) else tuple(validator.options)
        is_plain = choices and all(isinstance(choice, str | int | float | None) for choice in choices)
        return evolve(known, one_of=choices) if is_plain else known
    if isinstance(validator, _SHORTEST):
        return evolve(known, shortest=validator.min_length)
    if isinstance(validator, _LONGEST):
        return evolve(known, longest=validator.max_length)
    if isinstance(validator, _PATTERN):
        return evolve(known, pattern=_pattern(validator.pattern, validator.match_func))
    return known


def _number(known: Restriction, comparison: str, bound: Any) -> Restriction:
    name = {">=": "at_least", ">": "above", "<=": "at_most", "<": "below"}[comparison]
    is_told = type(bound) in (int, float) and math.isfinite(bound)
    return evolve(known, **{name: bound}) if is_told else known


def _pattern(pattern: re.Pattern[str], match: Any) -> str | None:
    if pattern.flags & ~re.UNICODE:
        return None  # JSON Schema has no flags
    ends = {"search": ("", ""), "match": ("^(?:", ")")}
    before, after = ends.get(match.__name__, ("^(?:", ")$"))
    return before + pattern.pattern + after
