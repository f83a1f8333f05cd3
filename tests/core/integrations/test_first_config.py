"""What `steersman init` writes and prints runs as it stands."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from steersman.cli import main
from steersman.readers import journal as journal_reader


@pytest.fixture
def lines_for(tmp_path, monkeypatch):
    """Return a function that runs `steersman init` for a trainer here, and returns the lines to paste."""
    monkeypatch.chdir(tmp_path)

    def init(trainer):
        made = CliRunner().invoke(main, ["init", "--trainer", trainer], catch_exceptions=False)
        return "\n".join(line[4:] for line in made.stdout.splitlines() if line.startswith("    "))

    return init


def test_of_the_trainer(lines_for, make_trainer, journal):
    """The three lines for the HF Trainer, beside the arguments it names: the score chooses what is loaded at the end."""
    trainer = make_trainer(
        metric_for_best_model="steersman_score", greater_is_better=False, load_best_model_at_end=True
    )
    exec(lines_for("hf"), {"trainer": trainer})

    [best] = [entry.data["best"] for entry in journal(trainer, "end")]
    assert trainer.state.best_model_checkpoint == best["path"]
    assert journal(trainer, "run")[0].data["mode"] == "act"


def test_of_a_loop(lines_for):
    """The lines for a loop of one's own, around one of twenty steps: each evaluation is scored by its loss."""
    head, _, inside = lines_for("plain").partition("    ...  # your loop; in it, where you have them:\n")
    loop = head + "    for step in range(1, 21):\n" + textwrap.indent(inside, "    ")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    exec(loop, {"optimizer": optimizer, "loss": 1.0, "eval_loss": 0.5})

    told = journal_reader.current(Path("runs/mine/steersman/journal.jsonl"))
    assert [(e.step, e.data["value"]) for e in told if e.kind == "score"] == [(step, 0.5) for step in range(1, 21)]
