"""The configs that ship: the default, and the origin's system literally."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from steersman import replay
from steersman.config import read

RECOMMENDED = {
    "eval-loss": {},
    "trend-health": {"preset": "guarded"},
    "rl-health": {"leave_out": ["reward-declining", "reward-variance", "kl-runaway"]},
    "recovery": {"leaves_evaluated": True},
    "step-guard": {},
    "averaged": {},
    "token-accounting": {},
}


def options(config: Any) -> dict[str, Any]:
    return {use.name: dict(use.options) for use in config.use}


def recorded(folder: Path, *log: dict[str, float]) -> Path:
    """Write the trainer_state.json of a run of a hundred epochs of 8 steps, which got so far."""
    path = folder / "trainer_state.json"
    history = [{"epoch": entry["step"] / 8, **entry} for entry in log]
    path.write_text(json.dumps({"log_history": history, "global_step": log[-1]["step"], "max_steps": 800}))
    return path


def test_without_a_config_nothing_may_be_changed() -> None:
    """No config is `advise`, the strategies of `recommended` in order, `check_every: auto` and no hyperparameter."""
    config = read(None)

    assert (config.mode, config.check_every, config.allowed) == ("advise", "auto", {})
    assert [*options(config).items()] == [*RECOMMENDED.items()]


def test_recommended_acts_on_the_learning_rate_alone() -> None:
    """`extends: recommended` acts, asks the same strategies, and may move the learning rate within wide bounds."""
    config = read({"extends": "recommended"})

    assert (config.mode, config.check_every, [*config.allowed]) == ("act", "auto", ["learning_rate"])
    assert [*options(config).items()] == [*RECOMMENDED.items()]
    assert config.recovery.at == "best"
    bounds = config.allowed["learning_rate"]
    assert (bounds.min_factor, bounds.max_factor, bounds.largest_change, bounds.cooldown) == (0.005, 125, 25, 0)
    assert (config.rails.budget, config.recovery.max_rollbacks) == (30, 10)
    assert (config.outcomes.revert_risky, config.outcomes.release_after) == (False, 0)


def test_the_scorers_are_asked_in_order(tmp_path: Path) -> None:
    """In the origin multi-metric decides, with 0.966945 for the first row, and eval-loss is asked after it; without a
    config eval-loss is the only one."""
    path = recorded(tmp_path, {"step": 10, "loss": 1.8}, {"step": 10, "eval_loss": 2.0})

    def scores(config: Any) -> list[tuple[str, str, bool]]:
        given = replay(path, config).of("score")
        return [(e.data["strategy"], f"{e.data['value']:.6f}", e.data["decides"]) for e in given]

    assert scores({"extends": "origin"}) == [("multi-metric", "0.966945", True), ("eval-loss", "2.000000", False)]
    assert scores(None) == [("eval-loss", "2.000000", True)]


def test_a_config_without_use_keeps_the_default_strategies() -> None:
    """A user's config is laid over the default; what it does not say stays."""
    assert [use.name for use in read({"mode": "act"}).use] == [*RECOMMENDED]


def test_the_origin_is_act_with_the_seed_preset() -> None:
    """`extends: origin` acts after each epoch with the preset `seed`, and multi-metric decides."""
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


def test_the_origin_decides_its_golden_epoch(tmp_path: Path) -> None:
    """The shipped config, as it is, cuts the golden epoch's rate by a fifth, raises KL and lowers the clip."""
    golden = {"learning_rate": 4e-6, "kl_penalty": 0.15, "max_grad_norm": 0.3}
    path = recorded(
        tmp_path, {"step": 8, "loss": 0.4562, "reward": 0.2398}, {"step": 16, "loss": 0.8188, "reward": 0.2485}
    )

    told = replay(path, {"extends": "origin"}, values=golden)

    assert {e.data["hyperparameter"]: f"{e.data['new']:.6g}" for e in told.of("adjustment")} == {
        "learning_rate": "3.2e-06",
        "kl_penalty": "0.18",
        "max_grad_norm": "0.24",
    }


@pytest.mark.parametrize(("enabled", "checks"), [(True, 2), (False, 0)])
def test_the_origins_switch(tmp_path: Path, enabled: bool, checks: int) -> None:
    """`logging.epoch_health_check_enabled: false` switches every health check off, and scoring stays."""
    path = recorded(tmp_path, {"step": 8, "loss": 0.4}, {"step": 16, "loss": 0.9}, {"step": 16, "eval_loss": 1.0})
    config = {
        "extends": "origin",
        "hyperparameters": {"learning_rate": {}},
        "logging": {"epoch_health_check_enabled": enabled},
    }

    told = replay(path, config, values={"learning_rate": 1e-4})

    assert len([e for e in told.of("check") if e.data["reason"] == "scheduled"]) == checks
    found = [e for e in told.of("finding") if e.data["strategy"] == "trend-health"]
    assert bool(found) == bool(told.of("adjustment")) == enabled
    assert len([e for e in told.of("score") if e.data["strategy"] == "multi-metric"]) == 1
