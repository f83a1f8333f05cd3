"""`divergence` keeps the contract of strategies."""

from __future__ import annotations

from steersman_divergence import Divergence

from steersman.testing import StrategyContract


class TestDivergence(StrategyContract):
    strategy = Divergence
    options = (
        {},
        {"cut": 0.5, "multiple": 3.0, "least_share": 0.0, "needed": 6, "window": 8, "loss_rules": "on"},
    )
