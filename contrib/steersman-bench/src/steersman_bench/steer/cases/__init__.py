"""The cases: sick runs with their healthy twins, and runs that are well."""

from __future__ import annotations

import functools

from steersman_bench.steer.case import Case
from steersman_bench.steer.cases import healthy, held_out, language, reinforcement, supervised, unfixable


@functools.cache
def tuned_on() -> tuple[Case, ...]:
    """Return the sick cases that the shipped rules may be tuned on, with other seeds than the published ones."""
    return (*supervised.CASES, *language.CASES, *unfixable.CASES, *reinforcement.CASES)


@functools.cache
def held_out_faults() -> tuple[Case, ...]:
    """Return the sick cases that no rule was made for: a table of their own, never tuned on."""
    return held_out.CASES


@functools.cache
def well() -> tuple[Case, ...]:
    """Return the cases without a fault."""
    return healthy.CASES


def case_named(name: str) -> Case:
    """Return a case by its name."""
    [case] = [case for case in (*tuned_on(), *held_out_faults(), *well()) if case.name == name]
    return case


QUICK = frozenset(
    {
        "LR spike, perceptron", "overflowing batch", "LR /100 too low", "dying ReLU", "reward noise",
        "perceptron, SGD, cosine", "language model, AdamW", "evaluated on 16 examples", "policy on rewards",
    }
)  # fmt: skip
"""The cases of `--quick`."""
