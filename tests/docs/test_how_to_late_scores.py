"""docs/how-to/late-scores.md: its training trains, its commands record, choose and explain as the page shows."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_commands_of_the_page(page):
    """Every checkpoint waits, one is rejected and one accepted, and the link leads to that one."""
    told = page("how-to/late-scores.md")
    told.write_files()
    runpy.run_path("train.py")
    commands = sum(page.run(console) for console in told.consoles)

    assert commands == 9
    assert Path("serving/current").resolve() == Path("out/checkpoint-20").resolve()
