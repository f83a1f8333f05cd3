"""docs/tutorial-strategy.md: from top to bottom it goes as the page says."""

from __future__ import annotations

from pathlib import Path

import pytest

from steersman.config import read

NAME = "tutorial-strategy.md"
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_tutorial(page):
    """Each command, in order in one folder, prints what is shown; what `new` writes is the file of the page."""
    shown = page(NAME)
    begin, *others, package = shown.consoles
    page.run(begin)
    written = Path("hooks/gradient_watch.py").read_text(encoding="utf-8")
    shown.write_files()
    assert Path("hooks/gradient_watch.py").read_text(encoding="utf-8") == f"# hooks/gradient_watch.py\n{written}"

    Path("tests/runs").symlink_to(ROOT / "tests" / "runs", target_is_directory=True)
    for console in others:
        page.run(console)
    page.run(package)
    assert Path("steersman-gradient-watch/pyproject.toml").is_file()
    assert len(others) == 4


def test_its_first_config_changes_nothing(page):
    """Until the last step the strategy only advises: the config of the page names no hyperparameter."""
    page(NAME).write_files()
    config = read("steersman.yaml")

    assert (config.mode, dict(config.allowed)) == ("advise", {})
    assert [use.name for use in config.use] == ["eval-loss", "gradient-watch"]
