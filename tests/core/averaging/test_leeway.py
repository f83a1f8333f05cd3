"""How much worse an average may measure and still be best: by a share of a standard error, paired by example."""

from __future__ import annotations

import json
import math

import pytest
import torch
from click.testing import CliRunner

import steersman
from steersman import Average
from steersman.averaging.leeway import allowance
from steersman.checkpoints import Checkpoint
from steersman.choosing import best_of
from steersman.cli import main
from steersman.decisions import Score

BEST = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
LITTLE = [loss + (1.0, -0.9)[i % 2] for i, loss in enumerate(BEST)]
"""Worse by 0.05. The differences lie 0.95 off their mean: its standard error is 0.95 / sqrt(7), 0.3591."""


def test_an_allowance_is_so_many_standard_errors() -> None:
    """Half of one is 0.1795; none of no leeway, of seven examples, and of other examples than the best has."""
    assert allowance(0.5, BEST, LITTLE) == pytest.approx(0.475 / math.sqrt(7))
    assert [allowance(0.0, BEST, LITTLE), allowance(0.5, BEST[:7], LITTLE[:7]), allowance(0.5, BEST, [1.0])] == [
        0.0
    ] * 3


def test_only_where_the_eval_loss_decides() -> None:
    """A score of 2 that is the eval loss ranks by 1.5; an accuracy of 0.9 knows nothing of an allowance in loss."""
    scores = {"eval-loss": Score(2.0), "accuracy": Score.higher(0.9)}
    made = Checkpoint(20, None, {"eval_loss": 2.0}, None, scores, averaged=(10, 20), allowance=0.5)

    assert (made.ranks_by("eval-loss"), made.ranks_by("accuracy")) == (1.5, -0.9)


@pytest.mark.parametrize("leeway", [-0.1, math.nan, math.inf])
def test_a_leeway_is_a_number_of_standard_errors(leeway) -> None:
    """Less than none, no number and without end are refused."""
    with pytest.raises(ValueError, match="`leeway` must be 0 or more standard errors"):
        Average((10, 20), leeway)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A loop of three checkpoints, of which that of step 20 is best with the losses BEST, 4.5 in the mean."""
    monkeypatch.chdir(tmp_path)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
    with steersman.attach(optimizer, {"use": ["eval-loss"], "console": False}, folder="run") as loop:
        for step, worse in ((10, 0.5), (20, 0.0), (30, 0.6)):
            losses = [loss + worse for loss in BEST]
            loop.evaluate(step, loss=sum(losses) / 8, example_losses=losses)
            torch.save({"weight": torch.zeros(1)}, f"run/step-{step}.pt")
            loop.saved(step, f"run/step-{step}.pt")
    return tmp_path / "run"


def test_one_that_is_little_worse_is_best_where_examples_say_so(run) -> None:
    """Its loss, 4.55, is above 4.5: alone that loses; with its examples 0.05 is less than the 0.0898 that a quarter of 0.3591 allows.

    `best`, `explain` and the journal know it. One that is worse by 0.2 loses.
    """

    def tells(losses):
        def evaluate(state):
            steersman.example_losses(losses)
            return sum(losses) / 8

        return evaluate

    alone = steersman.average(run, lambda state: 4.55)
    assert (alone.best.step, alone.best.averaged, alone.written) == (20, (), {})
    worse = steersman.average(run, tells([loss + 0.15 for loss in LITTLE]))
    assert (worse.best.averaged, worse.written) == ((), {})

    told = steersman.average(run, tells(LITTLE))
    kept = run / "averaged-10-30-of-3.pt"
    assert (told.best.averaged, told.written) == ((10, 20, 30), {(10, 20, 30): kept})
    assert (best_of(run).path, best_of(run).checkpoint.metrics) == (kept, {"eval_loss": 4.55})
    line = json.loads((run / "steersman" / "journal.jsonl").read_text().splitlines()[-1])
    assert (line["leeway"], line["allowance"]) == (0.25, pytest.approx(0.0898, abs=1e-4))
    explained = " ".join(CliRunner().invoke(main, ["explain", "run"]).output.split())
    assert "Against step 20, the average of steps 10, 20 and 30 is worse by 0.0500, less than the 0.0898" in explained
