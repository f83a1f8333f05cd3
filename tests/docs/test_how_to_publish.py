"""docs/how-to/publish-a-strategy.md: the lines that a user sees are those that are printed."""

from __future__ import annotations

import io
from typing import Any

import pytest

from steersman.failing import Failure
from steersman.failures import Failures
from steersman.journal import Journal
from steersman.loaded import Loaded, Source
from steersman.reporters.console import Console
from steersman.run import Progress

NAME = "how-to/publish-a-strategy.md"
MEDIAN = Source("steersman-median-loss 0.3.0 (steersman_median_loss:MedianLoss)", "steersman-median-loss", "0.3.0")
PAGER = Source("steersman-pager 1.2.0 (steersman_pager:Pager)", "steersman-pager", "1.2.0")


@pytest.fixture
def heard() -> tuple[Failures, io.StringIO]:
    """What hears of failures, and what a console prints of them."""
    printed = io.StringIO()
    journal = Journal(None)
    journal.subscribers.append(Console(printed).hear)
    return Failures(journal, Progress(step=10)), printed


def test_the_line_of_a_failure(page: Any, heard: tuple[Failures, io.StringIO]) -> None:
    """The page shows what the console prints of an error, and it prints the same error once."""
    failures, printed = heard
    loaded = Loaded("median-loss", object(), MEDIAN)
    for count in (1, 2):
        failures.hear(Failure(loaded, "score_checkpoint", KeyError("eval_loss"), count, quarantined=False))

    assert f"```text\n{printed.getvalue()}```" in page(NAME).text
    assert printed.getvalue().count("\n") == 1


def test_the_lines_of_a_hook_that_hangs(page: Any, heard: tuple[Failures, io.StringIO]) -> None:
    """The page shows what the console prints of a hook of 10 seconds, while it runs and once it returned."""
    failures, printed = heard
    loaded = Loaded("pager", object(), PAGER, time_budget=10.0)
    failures.overrun(loaded, "on_journaled")
    late = TimeoutError("took longer than its time budget of 10 s")
    failures.hear(Failure(loaded, "on_journaled", late, 1, quarantined=True))

    assert f"```text\n{printed.getvalue()}```" in page(NAME).text
