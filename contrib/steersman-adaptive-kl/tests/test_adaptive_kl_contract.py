"""`adaptive-kl` keeps the contract of a strategy."""

from steersman_adaptive_kl import AdaptiveKL

from steersman.testing import StrategyContract


class TestAdaptiveKL(StrategyContract):
    """Every check of the contract, with the defaults and with every option set."""

    strategy = AdaptiveKL
    options = (
        {"target": 0.05},
        {
            "target": 6.0,
            "metric": "objective/kl",
            "gain": 0.5,
            "clip": 0.5,
            "steps_per_update": 4,
            "largest_change": 0.5,
            "deadband": 0.0,
            "lower_while_rising": True,
            "at_least": 0.001,
            "at_most": 1.0,
        },
    )
