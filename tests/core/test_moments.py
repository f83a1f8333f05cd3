import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman.moments import Moments, mean_of, moments_of

weighted = st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 500)), min_size=1, max_size=40)


def test_moments_by_hand():
    """1, 2 and 4 with weights 10, 5 and 25: the mean is 3, the squares 10 x 4 + 5 x 1 + 25 x 1 = 70."""
    assert moments_of([1.0, 2.0, 4.0], [10, 5, 25]) == Moments(40, 3.0, 70.0)
    assert Moments(40, 3.0, 70.0).variance == 1.75


def test_one_weight_for_all_is_a_plain_mean():
    """Where all weigh the same, the mean is that of the values: 0.1 weighed by 10 is 0.1, to the last digit."""
    assert mean_of([0.1], [10]) == 0.1
    assert mean_of([0.7, 0.7, 0.7], [3, 3, 3]) == 0.7
    assert moments_of([0.1, 0.1, 0.1], [7, 7, 7]) == Moments(21, 0.1, 0.0)


@given(weighted, st.randoms())
def test_order_does_not_show(pairs, random):
    """Dealt out in any order, the same values have the same mean and squares, to the last digit."""
    shuffled = random.sample(pairs, len(pairs))
    told = [moments_of([v for v, _ in some], [w for _, w in some]) for some in (pairs, shuffled)]
    assert told[0] == told[1]


@given(weighted)
def test_means_equal_exact_fractions(pairs):
    """A mean is the exact one, rounded as the largest of the values is."""
    exact = sum(Fraction(v) * w for v, w in pairs) / sum(w for _, w in pairs)
    rounding = 1e-12 + 1e-15 * max(abs(v) for v, _ in pairs)
    assert mean_of([v for v, _ in pairs], [w for _, w in pairs]) == pytest.approx(float(exact), rel=1e-14, abs=rounding)


@given(weighted, weighted)
def test_joined_moments_are_those_of_all(left, right):
    """Moments of two sets, joined, are those of both together."""
    one, two, both = (moments_of([v for v, _ in some], [w for _, w in some]) for some in (left, right, left + right))
    joined = one.joined(two)
    assert joined.weight == both.weight
    assert joined.mean == pytest.approx(both.mean, rel=1e-9, abs=1e-6)
    assert joined.squares == pytest.approx(both.squares, rel=1e-6, abs=1e-3)


def test_a_sum_beyond_every_float():
    """Values whose sum is no float have a mean all the same, and an infinite variance."""
    assert mean_of([1.5e308, 1.5e308], [1, 1]) == 1.5e308
    assert mean_of([1.5e308, 1.0e308], [3, 1]) == pytest.approx(1.375e308)
    assert moments_of([1e308, -1e308], [1, 1]).variance == math.inf
