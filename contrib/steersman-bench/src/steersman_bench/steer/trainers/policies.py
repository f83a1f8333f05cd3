"""The policies that trainers are driven by: those of the table, beside what the Trainer itself does."""

from __future__ import annotations

from attrs import evolve

from steersman_bench.steer.policies import BASELINE, BEST, NOTHING, Policy

CLIPPED = "clip, best loaded"
"""What every gain is measured against here: the Trainer's own clipping, which it has unless told otherwise."""


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
