"""Averages of a run that is over: a real loop with files of its own, in Python and on the command line."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

import steersman
from steersman.averaging.layouts import NotAveraged
from steersman.choosing import best_of
from steersman.cli import main

CONFIG = {"use": ["eval-loss"], "console": False}
LOSSES = {10: 4.0, 20: 1.0, 30: 1.0, 40: 9.0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A loop whose weight is 0, 1, 3, 5 and whose loss is its square distance from 2: 4, 1, 1, 9; each step a file."""
    monkeypatch.chdir(tmp_path)
    model = torch.nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with steersman.attach(optimizer, CONFIG, folder="run") as loop:
        for step, weight in ((10, 0.0), (20, 1.0), (30, 3.0), (40, 5.0)):
            with torch.no_grad():
                model.weight.fill_(weight)
            loop.evaluate(step, loss=LOSSES[step])
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, f"run/step-{step}.pt")
            loop.saved(step, f"run/step-{step}.pt")
    return tmp_path / "run"


def loss(state) -> float:
    return float((state["weight"].item() - 2) ** 2)


def test_averages_are_ranked_with_the_rest(run):
    """The mean of steps 20 and 30 has the weight 2 and the loss 0: it is best; that of 10 and 40 has 0.25 and goes.

    The function of the user is given the state dict; `best` names the file.
    """
    first = steersman.average(run, loss, steps=(10, 40))
    told = steersman.average(run, loss, steps=(20, 30))

    assert [(c.averaged or c.step, c.metrics["eval_loss"]) for c in told.ranked] == [
        ((20, 30), 0.0), ((10, 40), 0.25), (20, 1.0), (30, 1.0), (10, 4.0), (40, 9.0)
    ]  # fmt: skip
    kept = run / "averaged-20-30-of-2.pt"
    assert (told.best.path, told.written, told.said) == (str(kept), {(20, 30): kept}, ())
    assert torch.load(kept)["model"]["weight"].item() == 2.0
    assert (best_of(run).path, best_of(run).checkpoint.averaged) == (kept, (20, 30))
    assert first.written == {(10, 40): run / "averaged-10-40-of-2.pt"}


def test_what_is_worse_is_not_kept(run):
    """The mean of 30 and 40 has the weight 4 and the loss 4: it ranks among the last, and its file is gone."""
    told = steersman.average(run, lambda state: {"loss": loss(state), "f1": 0.5}, steps=(30, 40))

    assert (told.best.step, told.written) == (20, {})
    assert [c.metrics for c in told.ranked if c.averaged] == [{"eval_loss": 4.0, "eval_f1": 0.5}]
    assert best_of(run).checkpoint.step == 20


def test_an_evaluation_that_raises_leaves_nothing(run):
    """What the function raises is raised, and the average is gone; one that returns no number is told what to return."""
    with pytest.raises(ZeroDivisionError):
        steersman.average(run, lambda state: 1 / 0, steps=(20, 30))
    with pytest.raises(ValueError, match="must return the eval loss or a mapping of metrics, got 'good'"):
        steersman.average(run, lambda state: "good", steps=(20, 30))
    with pytest.raises(NotAveraged, match=r"no checkpoint of step 25 is there any more"):
        steersman.average(run, loss, steps=(20, 25))
    assert sorted(file.name for file in run.glob("*.pt")) == [f"step-{step}.pt" for step in LOSSES]


def test_what_became_of_each_is_told(run, tmp_path):
    """A loser is said to be deleted and has no path; one without a score is told; a file cut short is named."""
    worse = steersman.average(run, loss, steps=(30, 40), output=tmp_path / "other")
    assert worse.said == ("The average of steps 30 and 40 was deleted: what is better is there.",)
    assert [c.path for c in worse.ranked if c.averaged] == [None]
    other = steersman.average(run, lambda state: {"f1": 0.5}, steps=(20, 30), output=tmp_path / "other")
    assert other.said == (
        "The average of steps 20 and 30 has no score by eval-loss, and does not rank; its metrics: eval_f1.",
    )
    assert all(path.exists() for path in other.written.values())
    (run / "step-20.pt").write_bytes(b"")
    with pytest.raises(NotAveraged, match=r"step 20 cannot be used from .*step-20\.pt: it is empty"):
        steersman.average(run, loss, steps=(20, 30))


def test_on_the_command_line(run, tmp_path):
    """Without an evaluation it is written, and how to say its loss is told; said so, it is the best.

    With a function in a file it is the same. A name that is none is a sentence.
    """
    told = CliRunner().invoke(main, ["average", "run", "--steps", "20,30"], catch_exceptions=False)
    assert told.output.splitlines() == [
        "The average of steps 20 and 30 lies in run/averaged-20-30-of-2.pt.",
        "Say what you find of one: steersman average run --steps 20,30 --metric eval_loss=...",
    ]
    said = CliRunner().invoke(main, ["average", "run", "--steps", "20,30", "--metric", "eval_loss=0.5"])
    assert said.output.splitlines() == [
        "The average of steps 20 and 30 is number 1 of 5 (eval loss 0.5000).",
        "The best is the average of steps 20 and 30 (eval loss 0.5000).",
    ]
    (tmp_path / "own.py").write_text("def evaluate(state):\n    return (state['weight'].item() - 2) ** 2\n")
    again = CliRunner().invoke(main, ["average", "run", "--steps", "20,30", "--evaluate", "own.py:evaluate", "--json"])
    found = json.loads(again.output)
    assert (found["ranked"][0]["averaged"], found["ranked"][0]["metrics"]) == ([20, 30], {"eval_loss": 0.0})
    best = CliRunner().invoke(main, ["best", "run", "--json"])
    assert json.loads(best.output)["averaged"] == [20, 30]
    explained = CliRunner().invoke(main, ["explain", "run"]).output
    assert "eval-loss decides: its best is the average of steps 20 and 30, with 0.0000" in " ".join(explained.split())
    wrong = CliRunner().invoke(main, ["average", "run", "--evaluate", "own.py:other"])
    assert (wrong.exit_code, wrong.stderr) == (2, "Error: --evaluate: own.py has no function 'other'\n")
