"""`steersman explain` of runs that were never supervised, and of single steps."""

from __future__ import annotations

import json

import pytest

import steersman
from steersman.journal import Journal

LOGS = (
    {"step": 10, "loss": 1.2, "eval_loss": 1.0},
    {"step": 20, "loss": 1.1, "eval_loss": 0.8},
)


@pytest.fixture
def supervised(supervise, tmp_path):
    """A run directory with a journal of two evaluations."""
    journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
    journal.open()
    run = supervise("eval-loss", journal=journal, begin=False)
    journal.write("run", 0, mode="advise", strategies=[{"name": "eval-loss"}])
    run.supervisor.begin()
    run.evaluate(10, eval_loss=1.0, eval_accuracy=0.5)
    run.evaluate(20, eval_loss=0.8, eval_accuracy=0.6)
    run.supervisor.end()
    journal.close()
    return tmp_path / "out"


def test_a_run_that_was_never_supervised(command, runs):
    """It is told from a replay with the defaults, and that is the first thing said."""
    path = runs / "trainer_state" / "llama-factory-01.json"
    result = command("explain", path)
    said = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert said.startswith(f"What Steersman would have said of {path} The run Steersman was not attached to this run")
    assert "eval-loss decides: its best is step 1100, with 0.8828" in said


def test_json_of_a_run_that_was_never_supervised(printed_json, runs):
    """Its object has the keys of a supervised run's, and says that it was none."""
    told = printed_json("explain", runs / "trainer_state" / "16831-project-01.json")
    assert (told["version"], told["supervised"], told["mode"], told["last_step"]) == (1, False, "advise", 375000)
    assert told["findings"][0]["name"] == "non-finite-grad-norm"
    assert {p["verdict"] for p in told["proposals"]} == {"advised", "refused"}
    assert told["chapters"][0]["title"] == "The run"


def test_a_step_of_a_run_that_was_never_supervised(command, printed_json, runs):
    """One step is told with its score against the best; the nearest evaluated one stands in for it."""
    path = runs / "trainer_state" / "llama-factory-01.json"
    said = " ".join(command("explain", path, "--step", "1150").stdout.split())
    assert "Steersman was not attached to this run" in said
    assert "Step 1150 was not evaluated; the nearest evaluated step is 1100." in said
    assert "eval-loss gave it 0.8828 (lower is better), number 1 of 12." in said
    told = printed_json("explain", path, "--step", "1150")
    assert (told["step"], told["supervised"], told["checkpoint"]["step"]) == (1150, False, 1100)
    places = {s["strategy"]: (s["place"], s["ranked"], s["best_step"]) for s in told["scores"]}
    assert places == {"eval-loss": (1, 12, 1100)}
    assert told["checkpoint"]["train_loss"] == {"value": 0.3604, "source": "recent", "age_steps": 0}


def test_a_step_of_a_supervised_run(command, printed_json, supervised):
    """It is told from the journal, every metric of the evaluation included; that it was supervised is not denied."""
    said = command("explain", supervised, "--step", "10").stdout
    assert "Steersman was not attached" not in said
    assert "eval-loss gave it 1.0000 (lower is better), number 2 of 2." in said
    told = printed_json("explain", supervised, "--step", "10")
    assert (told["supervised"], told["checkpoint"]["metrics"]) == (True, {"eval_loss": 1.0, "eval_accuracy": 0.5})


def test_a_run_without_an_evaluation(printed_json, trainer_state):
    """Its step has no checkpoint and no scores."""
    told = printed_json("explain", trainer_state({"step": 5, "loss": 1.0}), "--step", "5")
    assert (told["checkpoint"], told["scores"]) == (None, [])


def test_a_folder_in_which_only_late_scores_are_kept(command, tmp_path, trainer_state):
    """A journal that holds nothing but late scores tells no story: the run is told from its log."""
    trainer_state(*LOGS)
    journal = tmp_path / "steersman" / "journal.jsonl"
    journal.parent.mkdir()
    journal.write_text(json.dumps({"v": 1, "kind": "late_score", "step": 10, "metrics": {"safety": 0.9}}) + "\n")
    result = command("explain", tmp_path)
    assert "Steersman was not attached to this run" in result.stdout


@pytest.mark.parametrize("step", ["-1", "ten"])
def test_a_step_that_is_none(command, trainer_state, step):
    """A step is a whole number from 0 on."""
    result = command("explain", trainer_state(*LOGS), "--step", step)
    assert result.exit_code == 2
    assert "--step" in result.stderr


def test_what_came_late_to_a_run_that_was_never_supervised(command, printed_json, tmp_path):
    """Its recorded scores are told, with who found them, of the run and of the step; no check could hear them."""
    state = {"log_history": LOGS, "max_steps": 20}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    steersman.record(tmp_path, 20, safety=0.5, by="red team")
    whole, step = command("explain", tmp_path).stdout, command("explain", tmp_path, "--step", "20").stdout
    one = {"step": 20, "metrics": {"safety": 0.5}, "by": "red team"}

    for said in (whole, step):
        assert "What came late\n  Step 20: safety 0.5 by red team.\n" in said
    assert printed_json("explain", tmp_path)["late_scores"] == [one]
    assert printed_json("explain", tmp_path, "--step", "20")["late_scores"] == [one]
    assert printed_json("explain", tmp_path, "--step", "10")["late_scores"] == []


@pytest.mark.parametrize(
    ("metrics", "rejected", "waits"),
    [
        ({}, None, "waiting for safety"),
        ({"safety": 0.5}, "safety 0.5 is not >= 0.9", None),
        ({"safety": 1}, None, None),
    ],
)
def test_json_tells_why_a_step_may_not_be_best(supervise, printed_json, tmp_path, metrics, rejected, waits):
    """`rejected` where what is required is not met, `waits` where it is not there yet, else neither."""
    journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
    journal.open()
    config = {"score": {"require": {"safety": ">= 0.9"}}}
    run = supervise("eval-loss", journal=journal, begin=False, config=config)
    journal.write("run", 0, mode="advise", strategies=[{"name": "eval-loss"}], config=config)
    run.supervisor.begin()
    run.evaluate(20, eval_loss=0.8)
    run.supervisor.end()
    journal.close()
    if metrics:
        steersman.record(tmp_path / "out", 20, **metrics)

    [score] = printed_json("explain", tmp_path / "out", "--step", "20")["scores"]
    assert (score["rejected"], score["waits"], score["place"]) == (
        rejected,
        waits,
        1 if metrics == {"safety": 1} else None,
    )
