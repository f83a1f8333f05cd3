"""`plateau` keeps the contract of every strategy, with each of these options."""

from __future__ import annotations

from steersman_plateau import Plateau

from steersman.testing import StrategyContract


class TestPlateau(StrategyContract):
    """Every check of the contract, with the defaults and with what the options lead to."""

    strategy = Plateau
    options = (
        {},
        {"metric": "loss", "patience": 1, "cooldown": 2},
        {
            "metric": "eval_accuracy",
            "mode": "max",
            "threshold_mode": "abs",
            "threshold": 0.01,
            "last_share": 0,
            "patience": 0,
            "factor": 0.9,
            "min_lr": 1e-6,
            "eps": 0,
        },
    )
