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


def test_runs_through_trainers_have_tables_of_their_own():
    """Two rows by hand: what the clipping row lacks, the difference to it, what the healthy runs cost; what is not
    tried no longer says that no trainer is driven. A file of trainers alone leaves the other figures as they are.
    """
    generator = runpy.run_path(str(DOCS / "generate_bench_steer.py"))
    told = json.loads((DOCS / "reference" / "bench-steer.json").read_text())
    rl = {"runs": 2, "excess": 7.5, "difference": -30.0, "interval": [-40.0, -20.0], "recall": 0.5, "delay": 1.0}
    well = {"runs": 2, "cost": 0.25, "worst_cost": 0.5, "worst_case": "GRPO", "own_cost": 0.0, "worst_own_cost": 0.0,
            "acted_on": 0.0, "destroyed": 0.0, "alarmed": 0.0}  # fmt: skip
    row = {"name": "mine", "problem": "", "groups": {"rl": rl}, "healthy": well, "precision": 1.0, "unfixable_named": None,
           "unfixable_unchanged": None, "public_logs": None, "cases": {"GRPO, broken": 7.5}, "runs": []}  # fmt: skip
    cases = [{"name": "GRPO, broken", "group": "rl", "onset": 1}]
    beside = {
        "seeds": [0, 1],
        "development": False,
        "largest_model": 14656,
        "cases": cases,
        "policies": [row],
        "seconds": 9,
    }
    kept = generator["kept"]({"cases": [], "policies": [], "trainers": beside}, {**told, "trainers": None})
    assert kept["policies"] == told["policies"] and "runs" not in kept["trainers"]["policies"][0]
    page = generator["render"](kept)
    assert "| mine |  |  |  |  | 7.5 | -30.0 [-40.0, -20.0] | 50% |" in page
    assert "| GRPO, broken | 7.5 |" in page
    assert "| mine | +0.25 | +0.50 | GRPO | +0.00 | +0.00 | 0% | 0% | 0% | 100% |" in page
    assert "The figures are of the seeds 0, 1, on which none is tuned." in page and "14,656 parameters" in page
    assert "Lightning and Ignite are not driven here" in page
    assert "Trainers of Hugging Face, TRL and Lightning are not driven here" in generator["render"](
        {**kept, "trainers": None}
    )
