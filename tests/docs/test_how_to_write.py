"""docs/how-to: every strategy that a page shows keeps the contract, so that what is copied from it does too."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import attrs
import pytest

from steersman.inspecting import hooks_of
from steersman.testing import CHECKS, a_run

MODULE = "steersman_shown_in_docs"
SHOWN = {
    "how-to/write-a-strategy.md": ("MedianLoss", "Overfitting", "WorstLoss"),
    "how-to/select-and-order.md": ("Quota",),
    "how-to/recover.md": ("KLRunaway",),
    "how-to/publish-a-strategy.md": ("Smooth",),
}
"""The strategies of each page; `Pager` and the faulty `MedianLoss` of the last are shown for what they do wrong.

That of how-to/test-a-strategy.md has the contract among the tests of its page.
"""


@pytest.fixture
def classes(page: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the classes of a page from those of its blocks that define one."""
    module = type(sys)(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)

    def made(name: str) -> dict[str, type[Any]]:
        for block in page(name).blocks("python"):
            if "@define" in block and "a_run" not in block:
                exec(compile(block, name, "exec"), vars(module))
        found = {key: cls for key, cls in vars(module).items() if inspect.isclass(cls) and cls.__module__ == MODULE}
        return {key: cls for key, cls in found.items() if attrs.has(cls) and hooks_of(cls)}

    return made


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_keeps_the_contract(classes, name, check):
    """Each strategy of the page, with its defaults, passes the check."""
    made = classes(name)

    assert [check(made[cls]) for cls in SHOWN[name]] == [None] * len(SHOWN[name])


def test_overfitting(classes):
    """The eval loss rises by 0.4 above its lowest while the train loss falls: the rate is halved once."""
    story = a_run(learning_rate=1.0)
    for loss, eval_loss in ((3.0, 2.0), (2.5, 1.9), (2.0, 2.05), (1.5, 2.3)):
        story = story.epoch(loss=loss).evaluate(eval_loss=eval_loss)
    played = story.play(classes("how-to/write-a-strategy.md")["Overfitting"])

    assert [(change.step, change.new) for change in played.changes] == [(40, 0.5)]
    assert played.errors == ()
