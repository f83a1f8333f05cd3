"""`steersman demo rlaif`: a real training with a real teacher over HTTP, run as a user runs it."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from steersman.cli.demo_rlaif import _show
from steersman.demo.rlaif.rule import RULE
from steersman.journal import read
from steersman.reporters.console import lines

pytestmark = pytest.mark.slow


def run_demo(folder: Path, *options: str) -> str:
    """Run the demo to its end and return what it printed."""
    command = [sys.executable, "-m", "steersman.cli", "demo", "rlaif", "--output", str(folder), *options]
    wandb = {**os.environ, "WANDB_MODE": "offline"}  # of which transformers prints a line
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=wandb)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what one `demo rlaif --json` printed: one object."""
    result: dict[str, Any] = json.loads(run_demo(tmp_path_factory.mktemp("demo") / "run", "--json"))
    return result


def scores(told: dict[str, Any], first: int, last: int) -> list[float]:
    return [check["teacher_score"] for check in told["checks"] if first <= check["step"] <= last]


def test_the_reward_rises_and_the_drift_makes_it_fall(told: dict[str, Any]) -> None:
    """The teacher's own scores rise by a tenth or more before the drift, and fall while it lasts; KL doubles."""
    drift = told["drift"]
    before = scores(told, 0, drift["first_step"] - 1)
    assert before[-1] > before[0] + 0.1
    assert min(scores(told, drift["first_step"], drift["last_step"])) < before[-1] - 0.02
    kl = {check["step"]: check["kl"] for check in told["checks"]}
    assert max(kl[s] for s in kl if drift["first_step"] <= s <= drift["last_step"]) > 2 * kl[drift["first_step"] - 1]


def test_a_check_catches_it_and_adjusts(told: dict[str, Any]) -> None:
    """While the drift lasts a check finds something, and the learning rate is cut by a fifth there and read back."""
    drift = told["drift"]
    found = {f["step"] for f in told["findings"] if drift["first_step"] <= f["step"] <= drift["last_step"]}
    cuts = [c for c in told["changes"] if c["hyperparameter"] == "learning_rate" and c["step"] in found]
    assert cuts
    assert cuts[0]["new"] == pytest.approx(0.8 * cuts[0]["old"])
    assert cuts[0]["read_back"] == pytest.approx(cuts[0]["new"])


def test_values_move(told: dict[str, Any]) -> None:
    """KL penalty, temperature and reward weight are changed over the run."""
    assert {"kl_penalty", "temperature", "reward_weight"} <= {change["hyperparameter"] for change in told["changes"]}


def test_the_ledgers_are_what_the_server_counted(told: dict[str, Any]) -> None:
    """The teacher ledger has the server's own answers and tokens; 2,880 completions of 20 tokens were generated.

    Of the teacher there are 24 scores for each of 120 steps and five evaluations, and the one before the training.
    """
    server, ledger = told["teacher"]["server"], told["ledgers"]
    assert server["answered"] == told["teacher"]["asked"] == 24 * (120 + 5) + 1
    assert (server["refused"], told["teacher"]["unscored"]) == (0, {})
    assert [ledger[f"teacher_{name}"] for name in ("samples", "tokens", "received", "errors", "unknown")] == [
        server["answered"], server["prompt_tokens"], server["completion_tokens"], 0, 0,
    ]  # fmt: skip
    assert ledger["generation_tokens"] == 24 * 120 * 20
    assert ledger["backpropagation_samples"] == 24 * 120
    assert ledger["backpropagation_tokens"] > ledger["generation_tokens"]


def test_one_object_of_version_one(told: dict[str, Any]) -> None:
    """The object says its version, its seed and the rule of its teacher."""
    assert (told["version"], told["seed"], told["teacher"]["rule"]) == (1, 0, RULE)
    assert Path(told["journal"]).is_file()


def test_what_a_person_reads(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The page shows each check and change, the ledgers, and ends with the story; told from the same run."""
    for _, line in itertools.chain.from_iterable(map(lines, read(Path(told["journal"])))):
        print(line)
    _show(told)
    page = capsys.readouterr().out
    for expected in (
        "reward_weight may change within", "check at step 120 (epoch 15.00)", "Total Tokens Generated: 57,600",
        "Total Tokens Trained On: ", "Total Tokens Sent To Teacher: ", "Total Tokens Received From Teacher: 9,003",
        "The teacher's mean score went from", "The teacher was asked 3,001 times and gave no score 0 times.",
        "What to try next",
    ):  # fmt: skip
        assert expected in page
    assert re.search(r"^  reward_weight: 1 -> 1.15 \(\+15\.0 %\) because of reward-declining$", page, re.M)
