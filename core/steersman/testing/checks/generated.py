"""Runs a check on generated runs, the same ones every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from steersman.records import Record
from steersman.testing.generating import Logged

EXAMPLES = 25


def each(runs: SearchStrategy[Logged], check: Callable[[Sequence[Record]], None]) -> None:
    """Run a check on generated runs; the smallest that fails is told."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.nested_given),
    )
    @given(runs)
    def example(records: Logged) -> None:
        check(records)

    example()
