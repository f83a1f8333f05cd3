"""`pareto` keeps the contract of a strategy."""

from steersman_pareto import Pareto

from steersman.testing import StrategyContract


class TestPareto(StrategyContract):
    """Every check of the contract, with two objectives and with every option set."""

    strategy = Pareto
    options = (
        {"objectives": {"eval_loss": 1.0}},
        {
            "objectives": {
                "eval_loss": {"ideal": 0.0, "nadir": 5.0},
                "eval_accuracy": {"weight": 0.5, "direction": "higher", "ideal": 1.0, "nadir": 0.0},
            },
            "require": {"eval_loss": "< 4"},
            "scalarization": "tchebycheff",
            "augmentation": 0.05,
            "listed": 3,
        },
    )
