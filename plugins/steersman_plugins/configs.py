"""The configs that ship with Steersman, for `extends:`."""

from __future__ import annotations

from typing import Any

from steersman import rails

DEFAULT: dict[str, Any] = {
    "use": [
        "multi-metric",
        "eval-loss",
        "trend-health",
        {"rl-health": {"leave_out": ["reward-declining", "reward-variance", "kl-runaway"]}},
        "token-accounting",
    ],
}
"""What a config starts from that says nothing else: advise, and the five default strategies.

What `rl-health` leaves out `trend-health` finds already, and acts on where it may.
"""

NO_RAILS: dict[str, Any] = {"extends": [], **rails.NO_RAILS}
"""Every rail off but the bounds of each hyperparameter: for those who trust their strategies, and to try them alone."""

ORIGIN: dict[str, Any] = {
    "mode": "act",
    "check_every": "epoch",
    "use": [
        "multi-metric",
        "eval-loss",
        {"trend-health": {"preset": "seed"}},
        "token-accounting",
    ],
    "hyperparameters": {
        "learning_rate": {"min": 1e-7},
        "kl_penalty": {"min": 0.05, "max": 0.3},
        "max_grad_norm": {"min": 0.1},
        "reward_weight": {"max": 3.0},
        "reward_threshold": {"max": 0.3},
        "temperature": {"max": 1.5},
    },
    "rails": NO_RAILS["rails"],
    "outcomes": NO_RAILS["outcomes"],
}
"""The system Steersman comes from, literally: it acts by itself, with its own rules, on its six hyperparameters, and
knows no rails but their bounds."""
