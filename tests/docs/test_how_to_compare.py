"""docs/how-to/compare.md and check-in-ci.md: their commands print what the pages say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from attrs import fields

from steersman.checking import Noticed
from steersman.results.totals import Agreement, AlarmRate, Comparison, Proposals, Stops, Total

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the logs of the tests, where the commands are run."""
    (tmp_path / "tests").symlink_to(_ROOT / "tests", target_is_directory=True)
    return tmp_path


@pytest.mark.parametrize(("name", "commands"), [("compare", 2), ("check-in-ci", 2)])
def test_commands(page, checkout, name, commands):
    """Each command of the page prints exactly what it shows."""
    shown = page(f"how-to/{name}.md")
    assert sum(page.run(console) for console in shown.consoles) == commands


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("tests/runs/roberta",), 0),
        (("tests/runs/trainer_state/16831-project-01.json",), 1),
        (("tests/runs/trainer_state/16831-project-01.json", "nowhere"), 2),
    ],
)
def test_the_exit_statuses(checkout, arguments, status):
    """The three exit statuses are as the page has them."""
    script = str(Path(sys.executable).with_name("steersman"))
    ran = subprocess.run([script, "check", *arguments], cwd=checkout, capture_output=True, check=False)
    assert ran.returncode == status


@pytest.mark.parametrize(
    ("name", "values"),
    [("compare", (Total, Comparison, Agreement, AlarmRate, Proposals, Stops)), ("check-in-ci", (Noticed,))],
)
def test_every_field_of_an_object_is_listed(page, name, values):
    """The page names every field that --json prints."""
    text = page(f"how-to/{name}.md").text
    assert [field.name for value in values for field in fields(value) if f"`{field.name}`" not in text] == []
