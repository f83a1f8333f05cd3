"""`noise-aware` keeps the contract of strategies."""

from __future__ import annotations

from steersman_noise_aware import NoiseAware

from steersman.testing import StrategyContract


class TestNoiseAware(StrategyContract):
    strategy = NoiseAware
    options = (
        {},
        {
            "metric": "eval_accuracy",
            "direction": "higher",
            "second": "eval_loss",
            "second_direction": "lower",
            "stderr_metric": "eval_accuracy_stderr",
        },
        {"std_metric": "eval_loss_std", "examples": 500, "evaluations_needed": 4, "window": 4},
    )
