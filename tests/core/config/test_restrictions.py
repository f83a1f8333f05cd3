"""What validators tell of the values they let pass."""

from __future__ import annotations

import re

import pytest
from attrs import validators as v

from steersman.config.restrictions import Restriction, restriction_of
from steersman.validating import within


@pytest.mark.parametrize(
    ("validator", "expected", "words"),
    [
        (None, Restriction(), ""),
        (within(0.0), Restriction(at_least=0.0), "at least 0"),
        (within(0.0, 1.0, open_below=True), Restriction(above=0.0, at_most=1.0), "above 0 and at most 1"),
        (within(float("-inf")), Restriction(), ""),
        (v.ge(1), Restriction(at_least=1), "at least 1"),
        (v.gt(1), Restriction(above=1), "above 1"),
        (v.le(2.5), Restriction(at_most=2.5), "at most 2.5"),
        (v.lt(2), Restriction(below=2), "below 2"),
        (v.and_(v.gt(0), v.lt(1)), Restriction(above=0, below=1), "above 0 and below 1"),
        (v.and_(v.instance_of(int), v.and_(v.ge(0), v.le(9))), Restriction(at_least=0, at_most=9), "at least 0 and at most 9"),
        (v.optional(v.ge(3)), Restriction(at_least=3), "at least 3"),
        (v.optional([v.ge(3), v.le(4)]), Restriction(at_least=3, at_most=4), "at least 3 and at most 4"),
        (v.in_(["a", "b"]), Restriction(one_of=("a", "b")), "one of a, b"),
        (v.in_("abc"), Restriction(), ""),
        (v.in_([object()]), Restriction(), ""),
        (v.min_len(1), Restriction(shortest=1), "of length 1 at least"),
        (v.max_len(3), Restriction(longest=3), "of length 3 at most"),
        (v.matches_re("a+"), Restriction(pattern="^(?:a+)$"), "that matches ^(?:a+)$"),
        (v.matches_re("a+", func=re.match), Restriction(pattern="^(?:a+)"), "that matches ^(?:a+)"),
        (v.matches_re("a+", func=re.search), Restriction(pattern="a+"), "that matches a+"),
        (v.matches_re("a+", re.IGNORECASE), Restriction(), ""),
        (v.ge("2020"), Restriction(), ""),
        (v.or_(v.ge(3), v.lt(-3)), Restriction(), ""),
        (lambda instance, attribute, value: None, Restriction(), ""),
    ],
)  # fmt: skip
def test_what_a_validator_tells(validator, expected, words):
    """A validator of Steersman's or of attrs tells its bounds, choices, lengths or pattern; any other tells nothing."""
    assert restriction_of(validator) == expected
    assert str(restriction_of(validator)) == words
