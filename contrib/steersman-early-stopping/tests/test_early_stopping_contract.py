"""`early-stopping` keeps the contract of every strategy, with each of these options."""

from __future__ import annotations

from steersman_early_stopping import EarlyStopping

from steersman.testing import StrategyContract


class TestEarlyStopping(StrategyContract):
    """Every check of the contract, with the defaults and with what the options lead to."""

    strategy = EarlyStopping
    options = (
        {},
        {"metric": "score", "patience": 1},
        {"metric": "loss", "smoothing": 0.5, "warmup_evaluations": 2, "warmup_steps": 10},
        {"metric": "eval_accuracy", "direction": "higher", "min_delta": 0.1, "min_relative_delta": 0.01},
        {"metric": None, "max_hours": 0.001, "max_tokens": 1000, "token_ledger": "both"},
    )
