"""docs/how-to/test-a-strategy.md: its tests pass as the page says, and fail for the draft that it tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from steersman.loading import find
from steersman.testing import StrategyContract, a_run

NAME = "how-to/test-a-strategy.md"
SOUND = 'check.window.mean("kl") if check.window else None'
DRAFT = 'check.windows[-1].mean("kl") if check.windows else None'


def test_the_tests_of_the_page(page):
    """The command of the page runs the page's own tests, and as many pass as it says."""
    shown = page(NAME)
    shown.write_files()
    [console] = shown.consoles

    assert page.run(console) == 1


@pytest.mark.parametrize(("looks_at", "found"), [(SOUND, [30]), (DRAFT, [30, 30])])
def test_the_draft_finds_it_twice(page, looks_at, found):
    """What the page tells of its draft is so: the last check, without a window of its own, finds the same KL again."""
    page(NAME).write_files()
    file = Path("hooks/kl_ceiling.py")
    file.write_text(file.read_text(encoding="utf-8").replace(SOUND, looks_at), encoding="utf-8")
    made = find("./hooks/kl_ceiling.py:KLCeiling", Path.cwd(), [])
    assert made is not None
    story = a_run(kl_penalty=0.1).epoch(kl=2.0).epoch(kl=4.0).epoch(kl=12.0)

    assert [finding.step for finding in story.play(made[0]).findings] == found


def test_the_contract_is_thirteen_checks():
    """The number of tests that the page prints: 13 checks for each of two sets of options, and the two stories."""
    checks = [name for name in vars(StrategyContract) if name.startswith("test_")]

    assert 2 * len(checks) + 2 == 28
