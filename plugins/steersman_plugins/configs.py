"""The configs that ship with Steersman, for `extends:`."""

from __future__ import annotations

from typing import Any

from steersman import rails

RECOMMENDED: dict[str, Any] = {
    "mode": "act",
    "check_every": "auto",
    "use": [
        "eval-loss",
        {"trend-health": {"preset": "guarded"}},
        {"rl-health": {"leave_out": ["reward-declining", "reward-variance", "kl-runaway"]}},
        {"recovery": {"leaves_evaluated": True}},
        "step-guard",
        "averaged",
        "token-accounting",
    ],
    "hyperparameters": {
        "learning_rate": {"min_factor": 0.005, "max_factor": 125, "largest_change": 25, "cooldown": 0},
    },
    "rails": {"budget": 30},
    "outcomes": {"revert_risky": False, "release_after": 0},
    "recovery": {"at": "best", "max_rollbacks": 10},
}
"""What measurements support: the lowest eval loss decides, gradients are guarded, and the learning rate may be moved.

What `rl-health` leaves out `trend-health` finds already, and acts on where it may; what diverges in a run that is
evaluated `recovery` leaves to it. The bounds of the learning rate are wide: what keeps a change small is the rules that
ask for it. They take back and release their own changes, so that `outcomes` has nothing to do.
"""

DEFAULT: dict[str, Any] = {"use": RECOMMENDED["use"]}
"""What a config starts from that says nothing else: the strategies of `recommended`, which here only advise."""

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
