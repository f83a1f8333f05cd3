"""The page of `bench steer` in the docs is made from the figures that lie beside it."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_that_of_its_figures():
    """Nobody edits the page: it is what the generator makes of the figures."""
    generator = runpy.run_path(str(DOCS / "generate_bench_steer.py"))
    figures = json.loads((DOCS / "reference" / "bench-steer.json").read_text())
    assert (DOCS / "reference" / "bench-steer.md").read_text() == generator["render"](figures)


def test_a_page_says_which_seeds_it_is_of_and_what_is_not_tried():
    """Figures of seeds that rules are tuned on are called that; a row without public logs says `not tried`."""
    render = runpy.run_path(str(DOCS / "generate_bench_steer.py"))["render"]
    row = {"name": "mine", "problem": "", "groups": {}, "healthy": None, "precision": None, "unfixable_named": None,
           "unfixable_unchanged": None, "public_logs": None, "cases": {}}  # fmt: skip
    told = {"seeds": [100], "development": True, "largest_model": 6800, "cases": [], "policies": [row]}
    page = render(told)
    assert "of the seeds that rules are tuned on: 100" in page
    assert "| mine |  |  |  |  |  |  |  |  |  | not tried |" in page
    assert "The largest model that was tried here has 6,800 parameters" in page
    assert "No strategy was tuned on them" in render({**told, "development": False, "seeds": [0, 1, 2]})
