"""The policies that trainers are driven by: those of the table, beside what the Trainer itself does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from steersman_bench.steer.policies import BASELINE, BEST, NOTHING, Policy

CLIPPED = "clip, best loaded"
"""What every gain is measured against here: the Trainer's own clipping, which it has unless told otherwise."""


def config_for(policy: Policy, ranked_by: str) -> Mapping[str, Any]:
    """Return the config of a policy where a reward ranks the checkpoints, higher is better, and no eval loss means it.

    Whoever watches one metric watches that one. A whole config of one's own is left as it is.
    """
    from steersman_early_stopping.early_stopping import EarlyStopping
    from steersman_plateau.plateau import Plateau

    config = policy.asked.config
    if not ranked_by or policy.is_whole:
        return config
    config = {**config, "score": {ranked_by: {"weight": 1.0, "direction": "higher"}}}
    if policy.name == "ReduceLROnPlateau":
        return {**config, "use": [Plateau(metric=ranked_by, mode="max", factor=0.1, last_share=0.0), "eval-loss"]}
    if policy.name == "early stopping":
        return {**config, "use": [EarlyStopping(metric=ranked_by, direction="higher"), "eval-loss"]}
    return config


def for_trainers(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """Return the policies of the table as trainers have them.

    Clipping is the Trainer's own, at its default of 1.0. Every policy has it but the two that do nothing, and what
    acting costs is reckoned against it.
    """
    [alone] = [policy for policy in policies if policy.name == NOTHING]
    clipped = Policy(CLIPPED, evolve(alone.asked, load_best=True), against=CLIPPED)
    return tuple(
        clipped
        if policy.name == BASELINE
        else policy
        if policy.name in (NOTHING, BEST)
        else evolve(policy, against=CLIPPED)
        for policy in policies
    )
