"""`steersman check`: its exit status, what it prints, and where it looks."""

from __future__ import annotations

import json

import pytest

from steersman import Finding, hookimpl
from steersman.journal import Journal

HEALTHY = ({"step": 10, "loss": 1.0}, {"step": 10, "eval_loss": 1.0}, {"step": 20, "loss": 0.9})
SICK = ({"step": 10, "loss": float("nan")}, {"step": 10, "eval_loss": 1.0}, {"step": 20, "loss": 0.9})
BROKEN = """
from attrs import define
from steersman import hookimpl


@define(eq=False)
class Broken:
    @hookimpl
    def diagnose(self, check):
        raise ValueError("no luck")
"""


def test_a_healthy_run(command, trainer_state):
    """Nothing is found: exit status 0, and how many runs were looked at."""
    result = command("check", trainer_state(*HEALTHY))
    assert (result.exit_code, result.stdout) == (0, "1 run checked: 0 with a critical finding.\n")


def test_a_sick_run(command, trainer_state):
    """A NaN loss is critical: exit status 1, with a line that names the run, the finding, who made it, and where."""
    path = trainer_state(*SICK)
    result = command("check", path)
    assert result.exit_code == 1
    line, diverged, total = result.stdout.splitlines()
    assert line.startswith(f"{path}: critical: non-finite-loss by trend-health, step 10: ")
    assert diverged == f"{path}: critical: diverged by recovery, step 10: the loss was NaN or infinite"
    assert total == "1 run checked: 1 with a critical finding."


def test_a_masked_divergence_of_a_real_run(command, runs):
    """16831's loss of 0.0 hides NaN gradients: critical, while the healthy GRPO run beside it is none."""
    logs = [runs / "trainer_state" / name for name in ("16831-project-01.json", "unslothgrpo-01.json")]
    result = command("check", *logs)
    assert result.exit_code == 1
    [line, diverged, total] = result.stdout.splitlines()
    assert "16831-project-01.json: critical: diverged by recovery, 21 times" in diverged
    assert "16831-project-01.json: critical: non-finite-grad-norm by trend-health, 21 times" in line
    assert total == "2 runs checked: 1 with a critical finding."


@pytest.mark.parametrize(("fail_on", "status"), [("critical", 0), ("warning", 1)])
def test_which_severity_counts(command, runs, fail_on, status):
    """The seed rules warn of llama-factory's loss, and find nothing critical: --fail-on decides."""
    path = runs / "trainer_state" / "llama-factory-01.json"
    result = command("check", path, "--use", "trend-health:preset=seed", "--fail-on", fail_on)
    assert result.exit_code == status
    names = [line.split(": ")[2].split()[0] for line in result.stdout.splitlines()[:-1]]
    assert names == (["loss-high", "loss-rising"] if status else [])


def test_a_run_that_cannot_be_read(command, trainer_state, write):
    """It is named with the reason, the others are looked at all the same, and 2 is stronger than 1."""
    result = command("check", write("bad.json", "{"), trainer_state(*SICK))
    assert result.exit_code == 2
    assert "bad.json: it is no JSON" in result.stderr
    assert "non-finite-loss" in result.stdout
    assert "1 run checked: 1 with a critical finding." in result.stdout


def test_a_strategy_that_fails(command, trainer_state, write):
    """A health check that raised did not look, so the run is not called healthy: exit status 2, with what failed."""
    result = command("check", trainer_state(*HEALTHY), "--use", f"{write('broken.py', BROKEN)}:Broken")
    assert result.exit_code == 2
    assert "Broken failed in diagnose: ValueError: no luck" in result.stderr


@pytest.fixture
def supervised(supervise, tmp_path):
    """A run directory whose journal holds a finding of a strategy of its own, over a log that is healthy."""

    class Says:
        @hookimpl
        def diagnose(self, check):
            return Finding("odd", "something is odd", "critical") if check.reason == "scheduled" else None

    journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
    journal.open()
    run = supervise(Says(), journal=journal, begin=False, config={"check_every": 10})
    journal.write("run", 0, mode="advise", strategies=[])
    run.supervisor.begin()
    run.train(10, loss=1.0)
    run.train(20, loss=0.9)
    run.supervisor.end()
    journal.close()
    return tmp_path / "out"


def test_a_supervised_run(command, printed_json, supervised):
    """A run with a journal is judged by what was found live; where --use says who is asked, by a replay."""
    result = command("check", supervised)
    assert result.exit_code == 1
    assert f"{supervised}: critical: odd by says, steps 10 and 20: something is odd\n" in result.stdout
    replayed = printed_json("check", supervised, "--use", "trend-health")
    assert (replayed["runs"][0]["source"], replayed["runs"][0]["findings"]) == ("replay", [])


def test_json(command, trainer_state, write):
    """--json is one object: the status, each run with where it was looked, its findings, failures and error."""
    path = trainer_state(*SICK)
    result = command("check", path, write("bad.json", "{"), "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert (told["version"], told["fail_on"], told["status"]) == (1, "critical", 2)
    sick, bad = told["runs"]
    assert (sick["path"], sick["source"], sick["error"], sick["failures"]) == (str(path), "replay", None, [])
    [finding, diverged] = sick["findings"]
    assert (diverged["strategy"], diverged["name"], diverged["times"]) == ("recovery", "diverged", 1)
    assert {k: finding[k] for k in ("strategy", "name", "severity", "times", "first_step", "last_step")} == {
        "strategy": "trend-health",
        "name": "non-finite-loss",
        "severity": "critical",
        "times": 1,
        "first_step": 10,
        "last_step": 10,
    }
    assert (bad["source"], bad["findings"]) == (None, [])
    assert "it is no JSON" in bad["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument 'PATH...'"),
        (("nowhere",), "nowhere: there is no such file or directory"),
        (("nowhere", "--fail-on", "info"), "'info' is not one of 'warning', 'critical'"),
        (("nowhere", "--use", "eval-los"), "did you mean 'eval-loss'?"),
        (("nowhere", "--config", "none.yaml"), "none.yaml"),
    ],
)
def test_what_a_user_can_get_wrong(command, arguments, said):
    """Each is a sentence and exit code 2, so that a pipeline never takes it for a healthy run."""
    result = command("check", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_what_a_run_says_cannot_steer_the_terminal(command, trainer_state):
    """Control characters in what a finding says are shown as such, and a finding stays one line."""
    path = trainer_state({"step": 10, "loss": 1.0, "eval_\x1b[2J\n_loss": float("nan")})
    result = command("check", path)
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 1 + result.exit_code
