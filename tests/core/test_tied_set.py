"""Losses of single examples are kept beside the journal, and say which checkpoints are tied with the best."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

import steersman
from steersman.cli import main
from steersman.examples import ExampleLosses

CONFIG = {"use": ["eval-loss"]}
BEST = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
OTHERS = {10: 0.5, 20: None, 40: 0.0}
"""What each example of another step is worse by; those of step 20 differ by 1 and -0.9 in turn: tied."""


@pytest.fixture
def loop(tmp_path, monkeypatch):
    """Return what begins or resumes a loop in the folder `run`."""
    monkeypatch.chdir(tmp_path)

    def attach():
        return steersman.attach(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]), CONFIG, folder="run")

    return attach


def evaluate(loop, step):
    losses = {
        10: [loss + 0.5 for loss in BEST],
        20: [loss + (1.0, -0.9)[i % 2] for i, loss in enumerate(BEST)],
        30: BEST,
        40: [loss + 0.001 for loss in BEST],
    }[step]
    loop.evaluate(step, loss=sum(losses) / 8, example_losses=torch.tensor(losses, dtype=torch.float64))
    path = f"run/step-{step}.pt"
    torch.save({"weight": torch.zeros(1)}, path)
    loop.saved(step, path)


def test_what_is_tied_is_told_everywhere(loop, capsys):
    """Paired over eight: step 20 scatters by 1 about a mean of 0.05 and is tied; 10 and 40 are worse by the same each.

    The console, `explain`, `best --json` and `best --tied earliest` say it, over a resume.
    """
    with loop() as run:
        for step in (10, 20):
            evaluate(run, step)
        saved = run.state_dict()
    again = loop()
    again.load_state_dict(saved)
    with again as run:
        for step in (30, 40):
            evaluate(run, step)
    assert "tied with it: step 20 (paired over 8 examples)" in capsys.readouterr().out

    told = json.loads(CliRunner().invoke(main, ["best", "run", "--json"]).output)
    assert (told["step"], told["tied"]) == (
        30,
        {"best": 30, "checkpoints": [{"step": 20, "averaged": []}], "how": "paired", "examples": 8},
    )
    earliest = CliRunner().invoke(main, ["best", "run", "--tied", "earliest"])
    assert earliest.stdout.strip().endswith("step-20.pt")
    assert earliest.stderr == "Step 30 is best; tied with it: step 20 (paired over 8 examples).\n"
    latest = CliRunner().invoke(main, ["best", "run", "--tied", "latest"])
    assert latest.stdout.strip().endswith("step-30.pt")
    explained = " ".join(CliRunner().invoke(main, ["explain", "run"]).output.split())
    assert "Tied with it: step 20 (paired over 8 examples)." in explained


def test_without_examples_it_is_said_to_be_unpaired(loop):
    """Six scores: off their neighbours' mean by 0.3 in the median, so step 40, 0.5 worse, is tied; see test_tied."""
    with loop() as run:
        for step, loss in ((10, 3.0), (20, 2.3), (30, 2.2), (40, 1.5), (50, 1.0), (60, 2.2)):
            run.evaluate(step, loss=loss)
    tied = run.summary["tied"]
    assert (tied["how"], tied["checkpoints"]) == ("unpaired", [{"step": 40}])
    assert tied["sentence"] == "tied with it: step 40 (unpaired, by the noise of the scores)"


def test_the_file_is_bounded_and_a_torn_line_is_left_out(tmp_path):
    """Of 10,003 losses 10,000 are kept, which is said once; NaN stays NaN; a line that was cut counts for nothing.

    Nor does what is told after the end, also while another run of the process listens.
    """
    said: list[str] = []
    losses = ExampleLosses(tmp_path / "example_losses.jsonl", said.append)
    other_ends = ExampleLosses().open(resumed=False)
    ends = losses.open(resumed=False)
    steersman.example_losses([0.1234567891, float("nan"), *[1.0] * 10_001])
    losses.hear(5)
    ends()
    steersman.example_losses([1.0])
    losses.hear(6)
    other_ends()
    with (tmp_path / "example_losses.jsonl").open("a") as file:
        file.write('{"step":7,"averaged":[],"loss')

    [(key, kept)] = losses.read().items()
    assert (key, len(kept), kept[0], kept[1] != kept[1]) == ((5, ()), 10_000, 0.1234568, True)
    assert said == ["of the losses of single examples only the first 10,000 of each evaluation are kept"]


@pytest.mark.parametrize("wrong", ["losses", {"a": 1.0}, 3.0, [[1.0, 2.0]], [None]])
def test_what_is_no_list_of_losses(wrong):
    """Anything but one number for each example is refused where it is told."""
    with pytest.raises(TypeError, match="for each example"):
        steersman.example_losses(wrong)


def test_another_number_of_examples_is_told(loop, capsys):
    """A step that told 7 losses where the best told 8 cannot be paired with it: it is named with its number."""
    with loop() as run:
        run.evaluate(10, loss=5.0, example_losses=BEST[:7])
        run.evaluate(20, loss=4.5, example_losses=BEST)
    said = "left out, for it told another number of examples than the best (8): step 10 (7)"
    assert (run.summary["tied"]["sentence"], said in capsys.readouterr().out) == (said, True)
