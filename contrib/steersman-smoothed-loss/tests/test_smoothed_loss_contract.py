"""`smoothed-loss` keeps the contract of every strategy, with each of these options."""

from __future__ import annotations

from steersman_smoothed_loss import SmoothedLoss

from steersman.testing import StrategyContract


class TestSmoothedLoss(StrategyContract):
    """Every check of the contract, with the defaults and with what the options lead to."""

    strategy = SmoothedLoss
    options = ({}, {"smoothing": 0}, {"smoothing": 0.99, "metric": "eval_code_loss"})
