"""The contract that every strategy keeps, as functions: `check(make)` raises AssertionError with a sentence.

`make` is a class or a function that returns a fresh strategy. The sentence names the strategy, the hook and the step.
"""

from __future__ import annotations

from collections.abc import Callable

from steersman.testing.checks.conduct import allowed_types, mutates_nothing
from steersman.testing.checks.cost import ten_thousand_evaluations, time_per_call
from steersman.testing.checks.declared import options_round_trip, picklable, sound_class
from steersman.testing.checks.sameness import deterministic, state_restored
from steersman.testing.checks.survival import (
    empty_run,
    missing_metrics,
    nonfinite_metrics,
    one_evaluation,
)
from steersman.testing.trials import Make

CHECKS: tuple[Callable[[Make], None], ...] = (
    sound_class,
    options_round_trip,
    picklable,
    empty_run,
    missing_metrics,
    nonfinite_metrics,
    one_evaluation,
    ten_thousand_evaluations,
    allowed_types,
    mutates_nothing,
    deterministic,
    state_restored,
    time_per_call,
)
"""Every check, for `@pytest.mark.parametrize("check", CHECKS)`."""
