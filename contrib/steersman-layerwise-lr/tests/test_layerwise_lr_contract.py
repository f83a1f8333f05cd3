"""`layerwise-lr` keeps the contract of a strategy."""

from steersman_layerwise_lr import LayerwiseLR

from steersman.testing import StrategyContract


class TestLayerwiseLR(StrategyContract):
    """Every check of the contract, with the defaults and with every option set."""

    strategy = LayerwiseLR
    options = (
        {},
        {
            "min_factor": 0.1,
            "max_factor": 10.0,
            "largest_change": 0.5,
            "deadband": 0.0,
            "ratio": "gradient",
            "groups": ("0", "1"),
        },
    )
