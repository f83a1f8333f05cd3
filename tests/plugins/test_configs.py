"""The configs that ship: the default, and the origin's system literally."""

from __future__ import annotations

import math
from typing import Any

import pytest

from steersman import Record
from steersman.config import read

DEFAULT_ORDER = ["multi-metric", "eval-loss", "trend-health", "token-accounting"]


def options(config: Any) -> dict[str, Any]:
    return {use.name: dict(use.options) for use in config.use}


def test_without_a_config_nothing_may_be_changed() -> None:
    """No config is `advise`, the default strategies in order, `check_every: auto` and no hyperparameter."""
    config = read(None)

    assert (config.mode, config.check_every, config.allowed) == ("advise", "auto", {})
    assert options(config) == {name: {} for name in DEFAULT_ORDER}


def test_the_scorers_are_asked_in_order(tell: Any) -> None:
    """Without a config multi-metric decides, with 0.966945 for the first row, and eval-loss is asked after it."""
    records = [Record(10, "train", {"loss": 1.8}), Record(10, "eval", {"eval_loss": 2.0})]

    told = tell(None, records)

    scores = [(s["strategy"], f"{s['value']:.6f}", s["decides"]) for s in told.of("score")]
    assert scores == [("multi-metric", "0.966945", True), ("eval-loss", "2.000000", False)]


def test_a_config_without_use_keeps_the_default_strategies() -> None:
    """A user's config is laid over the default; what it does not say stays."""
    assert [use.name for use in read({"mode": "act"}).use] == DEFAULT_ORDER


def test_the_origin_is_act_with_the_seed_preset() -> None:
    """`extends: origin` acts after each epoch with the preset `seed`, the same strategies in the same order."""
    config = read({"extends": "origin"})

    assert (config.mode, config.check_every) == ("act", "epoch")
    assert options(config) == {
        "multi-metric": {},
        "eval-loss": {},
        "trend-health": {"preset": "seed"},
        "token-accounting": {},
    }


@pytest.mark.parametrize(
    ("hyperparameter", "low", "high"),
    [
        ("learning_rate", 1e-7, math.inf),
        ("kl_penalty", 0.05, 0.3),
        ("max_grad_norm", 0.1, math.inf),
        ("reward_weight", -math.inf, 3.0),
        ("reward_threshold", -math.inf, 0.3),
        ("temperature", -math.inf, 1.5),
    ],
)
def test_the_origins_hyperparameters_and_bounds(hyperparameter: str, low: float, high: float) -> None:
    """Each of the origin's six hyperparameters may be changed within the bounds of the rules that move it."""
    bounds = read({"extends": "origin"}).allowed[hyperparameter]

    assert (bounds.min, bounds.max, bounds.min_factor, bounds.max_factor) == (low, high, 0.0, math.inf)


def test_the_origin_has_six_hyperparameters() -> None:
    """No seventh may be changed."""
    assert len(read({"extends": "origin"}).allowed) == 6


def test_the_origin_decides_its_golden_epoch(tell: Any, epochs: Any) -> None:
    """The shipped config, as it is, cuts the golden epoch's rate by a fifth, raises KL and lowers the clip."""
    golden = {"learning_rate": 4e-6, "kl_penalty": 0.15, "max_grad_norm": 0.3}
    logs = [{"loss": 0.4562, "reward": 0.2398}, {"loss": 0.8188, "reward": 0.2485}]

    told = tell(None, epochs(*logs), values=golden, extends="origin", hyperparameters={})

    assert {name: f"{new:.6g}" for name, (_, new) in told.changes().items()} == {
        "learning_rate": "3.2e-06",
        "kl_penalty": "0.18",
        "max_grad_norm": "0.24",
    }


@pytest.mark.parametrize(("enabled", "checks"), [(True, 2), (False, 0)])
def test_the_origins_switch(tell: Any, epochs: Any, enabled: bool, checks: int) -> None:
    """`logging.epoch_health_check_enabled: false` switches every health check off, and scoring stays."""
    records = [*epochs({"loss": 0.4}, {"loss": 0.9}), Record(16, "eval", {"eval_loss": 1.0})]

    told = tell(
        None,
        records,
        values={"learning_rate": 1e-4},
        extends="origin",
        logging={"epoch_health_check_enabled": enabled},
    )

    assert len(told.of("check", reason="scheduled")) == checks
    assert bool(told.rules()) == bool(told.changes()) == enabled
    assert len(told.of("score", strategy="multi-metric")) == 1
