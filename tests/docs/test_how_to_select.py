"""docs/how-to/select-and-order.md: its commands print what the page says."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from steersman.config import read

NAME = "how-to/select-and-order.md"


def other_distributions() -> bool:
    return any(
        point.dist is not None and point.dist.name != "steersman"
        for point in entry_points(group="steersman.strategies")
    )


@pytest.mark.parametrize("number", range(4))
def test_a_command(page, number):
    """Each command prints what the page shows."""
    shown = page(NAME)
    if number > 0:  # the list comes before the config that would mark it
        shown.write_files()
    elif other_distributions():
        pytest.skip("strategies of other distributions are installed: the table has other widths")

    assert page.run(shown.consoles[number]) >= 1


def test_the_page_has_four_blocks_of_commands(page):
    """The test above runs all of them."""
    assert len(page(NAME).consoles) == 4


def test_the_environment_variables(page, monkeypatch):
    """Each variable of the page sets what it says in the config of the page."""
    page(NAME).write_files()
    monkeypatch.setenv("STEERSMAN__MODE", "observe")
    monkeypatch.setenv("STEERSMAN__USE__TREND_HEALTH__PRESET", "seed")
    monkeypatch.setenv("STEERSMAN__WITHOUT", "[plain]")
    config = read("steersman.yaml")

    assert config.mode == "observe"
    assert [use.name for use in config.use] == ["multi-metric", "eval-loss", "trend-health", "quota"]
    assert config.use[2].options == {"preset": "seed"}
