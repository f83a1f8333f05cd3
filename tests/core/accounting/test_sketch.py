"""A sketch of quantiles in bounded memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman.accounting import sketch

VALUES = st.lists(st.floats(1e-5, 1e12), min_size=1, max_size=300)


def of(values: list[float]) -> dict[str, int]:
    made: dict[str, int] = {}
    for value in values:
        sketch.add(made, value)
    return made


@given(VALUES, st.floats(0.01, 1.0))
def test_a_quantile_is_within_one_percent(values: list[float], share: float) -> None:
    """For any values the estimate is within 1 % of the exact quantile (nearest rank)."""
    exact = sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]

    assert sketch.quantile(of(values), share) == pytest.approx(exact, rel=0.01 + 1e-9)


@given(VALUES, VALUES)
def test_two_sketches_add_up_to_that_of_all_values(some: list[float], others: list[float]) -> None:
    """Sketches of two ranks, or of a run and its continuation, are merged without any loss."""
    assert sketch.merged(of(some), of(others)) == of([*some, *others])


def test_it_stays_small_whatever_comes() -> None:
    """Values from 1e-300 to 1e300 fill at most ln(1e24) / ln(1.0202) + 2 buckets, the least and the most counted."""
    values = [10.0 ** (-300 + 600 * i / 20_000) for i in range(20_001)]

    made = of(values)

    assert len(made) <= math.log(1e24) / math.log(1.01 / 0.99) + 2
    assert sum(made.values()) == len(values)


def test_what_is_no_positive_number_is_left_out() -> None:
    """Zero, negative, NaN and infinite values are not counted, and an empty sketch has no quantile."""
    made = of([0.0, -1.0, math.nan, math.inf])

    assert (made, sketch.quantile(made, 0.99)) == ({}, None)
