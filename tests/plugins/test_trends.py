"""What the trend rules look at, as figures computed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import Adjust, Check, hookimpl
from steersman.testing import Played, a_run
from steersman_plugins.trend_health import TrendHealth
from steersman_plugins.trends import noise, rising, setback

KEPT = st.floats(-1e3, 1e3, allow_nan=False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), 0.0),
        ((1.0,), 0.0),
        ((2.0, 1.5, 1.0, 0.5), 0.0),
        ((1.0, 2.0, 0.0), 1.5),
        ((0.0, 1.0, 3.0, 7.0, 15.0), 1.5),
    ],
)
def test_noise_is_the_mad_of_differences(values: tuple[float, ...], expected: float) -> None:
    """Steps 1, 2, 4, 8 have the median 3, deviations 2, 1, 1, 5 and their median 1.5; a steady fall has none."""
    assert noise(values) == expected


@pytest.mark.parametrize(
    ("values", "above", "limit"),
    [
        ((2.0, 1.5, 1.0, 1.25), 0.25, 0.12),
        ((0.0, 1.0, 3.0, 7.0, 15.0, 4.0), 4.0, 9.0),
        ((1.0, 0.5, 0.25), -0.25, 0.06),
    ],
)
def test_setback_by_hand(values: tuple[float, ...], above: float, limit: float) -> None:
    """The newest against the lowest before; the limit is 12 % of the progress, or 6 x noise where that is more."""
    assert setback(values, 6, 0.12) == (pytest.approx(above), pytest.approx(limit))


@given(st.lists(KEPT, min_size=2, max_size=12), st.integers(-8, 8))
def test_setback_has_no_unit(values: list[float], exponent: int) -> None:
    """Scaling every value by a constant scales both figures by it, so that the comparison stays."""
    scale = 2.0**exponent
    above, limit = setback(tuple(values), 6, 0.12)
    scaled = setback(tuple(scale * value for value in values), 6, 0.12)

    assert scaled == (pytest.approx(scale * above, abs=1e-9), pytest.approx(scale * limit, abs=1e-9))


def scheduled(played: Played) -> list[Mapping[str, Any]]:
    return [entry.data for entry in played.of("check") if entry.data["reason"] == "scheduled"]


def variance(played: Played) -> list[float]:
    return [check["reward_variance"] for check in scheduled(played)]


def test_the_variance_of_a_mixture() -> None:
    """Rewards 0.2 +- 0.1 and 0.4 +- 0.3: mean of the variances 0.05 plus variance of the means 0.01 is 0.06."""
    story = a_run(8).epoch(logs=2, reward=[0.2, 0.4], reward_std=[0.1, 0.3])

    assert variance(story.play(TrendHealth)) == [pytest.approx(0.06)]


def test_the_variance_of_a_mixture_is_weighted_by_steps() -> None:
    """Covering 6 and 2 steps: (6 x 0.01 + 2 x 0.09) / 8 = 0.03, and the means 0.2, 0.4 about 0.25 vary by 0.0075."""
    story = a_run(8).log(steps=6, reward=0.2, reward_std=0.1).log(steps=2, reward=0.4, reward_std=0.3)

    assert variance(story.play(TrendHealth)) == [pytest.approx(0.0375)]


def test_without_deviations_the_variance_is_that_of_the_rewards() -> None:
    """Rewards 0.0, 0.2, 0.4, 0.6 have the mean 0.3 and the population variance 0.05."""
    story = a_run(8).epoch(logs=4, reward=[0.0, 0.2, 0.4, 0.6])

    assert variance(story.play(TrendHealth)) == [pytest.approx(0.05)]


def test_nan_is_left_out_of_a_mean_and_counted() -> None:
    """Losses 0.2, NaN and 0.4 of equal steps mean 0.3 with one non-finite log."""
    [check] = scheduled(a_run(24).epoch(logs=3, loss=[0.2, math.nan, 0.4]).play(TrendHealth))

    assert (check["loss"], check["nonfinite"]) == (pytest.approx(0.3), {"loss": 1})


def test_a_window_without_the_metric_is_skipped() -> None:
    """A reward of every other epoch is compared with the last epoch that had one, and judged only when it comes."""
    story = a_run(8).epoch(loss=0.3, reward=0.5).epoch(loss=0.3).epoch(loss=0.3, reward=0.4).epoch(loss=0.3)

    played = story.play(TrendHealth(preset="seed"))

    assert [(f.name, f.evidence["reward_change"]) for f in played.findings] == [
        ("reward-declining", pytest.approx(-0.1))
    ]


@pytest.mark.parametrize(
    ("values", "z"), [((1, 2, 3, 4), 5 / math.sqrt(26 / 3)), ((4, 3, 2, 1), -5 / math.sqrt(26 / 3)), ((1, 1, 1), 0.0), ((1, 2), 0.0)]
)  # fmt: skip
def test_how_surely_values_rise(values: tuple[float, ...], z: float) -> None:
    """Four that rise: S = 6, the variance 4 x 3 x 13 / 18, z = (6 - 1) / its root; all the same or too few give 0."""
    assert rising(values) == pytest.approx(z)


def test_ties_lower_the_variance() -> None:
    """Of 1, 1, 2 the score is 2 and the variance (66 - 18) / 18, so z is 1 / 1.633."""
    assert rising((1, 1, 2)) == pytest.approx(1 / math.sqrt(48 / 18))


@pytest.mark.parametrize(
    "name", ["reward_weight", "reward_weight[truth]", "reward_threshold", "temperature", "kl_penalty"]
)
@pytest.mark.parametrize("preset", ["guarded", "seed"])
def test_rewards_are_compared_since_the_last_change_that_moves_them(preset: Any, name: str) -> None:
    """The reward rises to 0.6 in six epochs and is then 0.3: declining, unless its weight or the like was changed there.

    The KL penalty moves no reward by itself. `restart_baselines` is off.
    """

    class Once:
        @hookimpl
        def propose_adjustments(self, check: Check) -> Adjust | None:
            return Adjust(name, scale=0.5, because="a test") if check.step == 48 else None

    story = a_run(8, **{name: 1.0})
    for reward in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.31, 0.32, 0.33):
        story = story.epoch(reward=reward)
    told = story.play(TrendHealth(preset=preset), Once(), mode="act")

    found = [f.step for f in told.findings if f.name == "reward-declining"]
    assert found == ([] if name != "kl_penalty" else [56] if preset == "seed" else [64, 72])
