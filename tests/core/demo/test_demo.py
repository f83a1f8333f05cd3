"""`steersman demo`: a real training, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from steersman.demo.report import facts
from steersman.journal import to_json
from steersman.readers.journal import current


def run_demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a process of its own, on one thread: on a busy machine two wait for each other."""
    command = [sys.executable, "-m", "steersman.cli", "demo", "--output", str(folder), *options]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=one_thread)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what one `demo --json` printed, where transformers prints of W&B."""
    ran = run_demo(tmp_path_factory.mktemp("demo") / "run", "--json")
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


@pytest.mark.slow
def test_the_fault_makes_a_spike_that_is_caught_and_corrected(told: dict[str, Any]) -> None:
    """The loss really rises by more than 0.2 at the check after the fault, and the rate is cut by a fifth there."""
    step = told["spikes"][0]["step"]
    assert told["fault"]["step"] < step <= told["fault"]["step"] + 24
    assert told["spikes"][0]["evidence"]["loss_change"] > 0.2
    cut = next(c for c in told["changes"] if c["step"] == step and c["hyperparameter"] == "learning_rate")
    assert cut["new"] == pytest.approx(0.8 * cut["old"])
    assert cut["read_back"] == pytest.approx(cut["new"])


@pytest.mark.slow
def test_the_run_recovers(told: dict[str, Any]) -> None:
    """The last window's loss is below that before the fault."""
    before = [item["loss"] for item in told["losses"] if item["step"] <= told["fault"]["step"]]
    assert told["losses"][-1]["loss"] < before[-1]


@pytest.mark.slow
def test_the_scorers_disagree(told: dict[str, Any]) -> None:
    """The two scorers do not put the checkpoints into the same order, and where even their bests differ it is said.

    Whether the bests differ hangs on the last digits of the arithmetic, and so on the machine.
    """
    scores: dict[str, dict[int, float]] = {}
    for score in told["scores"]:
        scores.setdefault(score["strategy"], {})[score["step"]] = score["value"]
    ours, losses = (sorted(scores[name], key=scores[name].__getitem__) for name in ("multi-metric", "eval-loss"))
    assert ours != losses
    assert told["disagree"] == (told["best"]["step"] != told["lowest_eval_loss"]["step"])


@pytest.mark.slow
def test_the_ranking_lists_checkpoints_that_exist(told: dict[str, Any]) -> None:
    """Every ranked checkpoint is a directory with a model in it."""
    assert told["ranking"]
    assert all((Path(row["path"]) / "model.safetensors").is_file() for row in told["ranking"])


@pytest.mark.slow
def test_tokens_and_duration(told: dict[str, Any]) -> None:
    """300 steps of 16 sequences of 48 bytes were trained on, in less than 90 seconds."""
    assert told["tokens"]["backpropagation_tokens"] == 300 * 16 * 48
    assert 0 < told["duration_seconds"] < 90


@pytest.mark.slow
def test_what_a_person_reads(told: dict[str, Any], tmp_path: Path) -> None:
    """A second run with the same seed makes the same scores and changes, and its page shows the config and all it promises."""
    ran = run_demo(tmp_path / "run")
    assert ran.returncode == 0, ran.stderr
    for expected in (
        "preset: seed", "learning_rate: {min: 1.0e-7}", "loss-spike", "Ranking (lower is better)", "Changes",
        "The scorers disagree", "230,400 tokens trained on", "journal.jsonl", "What to try next", "steersman explain",
    ):  # fmt: skip
        assert expected in ran.stdout

    made = facts(current(tmp_path / "run" / "steersman" / "journal.jsonl"), tmp_path / "run", 0)
    again = json.loads(json.dumps(to_json(made)))
    assert [again[name] for name in ("scores", "changes", "spikes")] == [
        told[name] for name in ("scores", "changes", "spikes")
    ]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """A folder with something in it is an error that says what to do, before anything is trained."""
    (tmp_path / "mine.txt").write_text("precious")
    ran = run_demo(tmp_path)
    assert ran.returncode != 0
    assert "is not an empty folder; choose another --output" in ran.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]
