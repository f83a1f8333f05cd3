"""The cases that trainers run: sick ones with their twins, and some that are well."""

from __future__ import annotations

import functools
import math

from steersman_bench.steer import faults
from steersman_bench.steer.trainers.case import Trained, TrainerCase, Ways


def _cosine(seed: int, sick: bool, ways: Ways, *, loss: float = 1.0, spike: float = 1.0) -> Trained:
    """A rate that falls as a cosine; sick: a loss or a rate that is wrong from step 83 on, for one step or four."""
    from steersman_bench.steer.trainers.letters import STEPS, Letters, letters

    rate = faults.cosine(STEPS)
    if not sick:
        return letters(seed, Letters(rate=rate), ways)
    wrong = faults.spike(83, spike, of=rate)
    return letters(seed, Letters(rate=wrong, loss=faults.spike(83, loss, 1)), ways)


def _linear(seed: int, sick: bool, ways: Ways) -> Trained:
    from steersman_bench.steer.trainers.letters import Letters, letters

    return letters(seed, Letters(warmup=20), ways)


def _rewarded(seed: int, sick: bool, ways: Ways) -> Trained:
    from steersman_bench.steer.trainers.words import STEPS, Words, words

    return words(seed, Words(rate=faults.spike(33, 50, STEPS) if sick else faults.constant), ways)


CASES = (
    TrainerCase("Trainer, LR spike", "fixable", functools.partial(_cosine, spike=100.0), onset=83),
    TrainerCase("Trainer, loss not finite once", "fixable", functools.partial(_cosine, loss=math.inf), onset=83),
    TrainerCase("GRPO, LR x50 from the middle on", "rl", _rewarded, onset=33, eval_every=4, ranked_by="eval_reward"),
    TrainerCase("Trainer, linear schedule with warm-up", "healthy", _linear),
    TrainerCase("GRPO", "healthy", _rewarded, eval_every=4, ranked_by="eval_reward"),
)
"""All of them; each begins with the name of its trainer."""
QUICK = frozenset({"Trainer, loss not finite once", "Trainer, linear schedule with warm-up"})
"""The cases of `--quick`."""


def case_named(name: str) -> TrainerCase:
    """Return a case by its name."""
    [case] = [case for case in CASES if case.name == name]
    return case
