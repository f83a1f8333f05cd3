"""docs/how-to/test-a-strategy.md: its tests pass as the page says, and fail for the draft that it tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from steersman.loading import find
from steersman.testing import StrategyContract, a_run

NAME = "how-to/test-a-strategy.md"
DRAFT = """
        now = check.windows[-1].mean("grad_norm") if check.windows else None
        before = [window.mean("grad_norm") for window in check.windows[:-1]]
"""


def test_the_tests_of_the_page(page):
    """The command of the page runs the page's own tests, and as many pass as it says."""
    shown = page(NAME)
    shown.write_files()
    [console] = shown.consoles

    page.run(console)


@pytest.mark.parametrize(("is_draft", "found"), [(False, [40]), (True, [40, 40])])
def test_the_draft_finds_a_jump_twice(page, is_draft, found):
    """What the page tells of its draft is so: the last check, without a window of its own, finds the jump again."""
    page(NAME).write_files()
    file = Path("hooks/gradient_watch.py")
    text = file.read_text(encoding="utf-8")
    begin, end = text.index("        now = check.window"), text.index("        before = [norm for")
    file.write_text(text[:begin] + DRAFT.lstrip("\n") + text[end:] if is_draft else text, encoding="utf-8")
    made = find("./hooks/gradient_watch.py:GradientWatch", Path.cwd(), [])
    assert made is not None
    story = (
        a_run(learning_rate=1e-3).epoch(grad_norm=1.0).epoch(grad_norm=1.0).epoch(grad_norm=1.0).epoch(grad_norm=9.0)
    )

    assert [finding.step for finding in story.play(made[0]).findings] == found


def test_the_contract_is_thirteen_checks():
    """The number of tests that the page prints: 13 checks for each of two sets of options, and the two stories."""
    checks = [name for name in vars(StrategyContract) if name.startswith("test_")]

    assert 2 * len(checks) + 2 == 28
