"""Real runs of `bench steer`: the loop, the workers, and strategies that misbehave."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from steersman_bench import expected
from steersman_bench.steer.cases import case_named, well
from steersman_bench.steer.command import steer
from steersman_bench.steer.loop import Asked, train
from steersman_bench.steer.measuring import excess
from steersman_bench.steer.policies import acting, always
from steersman_bench.steer.workers import in_processes

MISBEHAVING = Path(__file__).parent / "strategies" / "steer_strategies.py"


def run(case: str, sick: bool, asked: Asked, folder: Path):
    """Train one case of seed 100."""
    return train(case_named(case).make(100, sick), asked, folder)


def test_a_twin_is_the_same_run_until_the_fault(tmp_path):
    """The batch of step 83 overflows: up to the evaluation before it both runs are told the same losses, to the digit."""
    nothing = always()[0].asked
    sick, well = (run("overflowing batch", is_sick, nothing, tmp_path / str(is_sick)) for is_sick in (True, False))
    logs = [(tmp_path / str(s) / "steersman" / "journal.jsonl").read_text().splitlines() for s in (True, False)]
    told = [[(r["step"], r["metrics"]) for r in map(json.loads, log) if r["kind"] == "record"] for log in logs]
    before = [[(step, m) for step, m in records if step <= 82] for records in told]
    assert before[0] == before[1] and len(before[0]) == 24
    assert sick.untrained == well.untrained
    assert well.end < 0.6 * well.untrained and not sick.end < sick.untrained


def test_a_policy_that_does_nothing_leaves_the_run_as_it_is(tmp_path):
    """A run under a strategy that only watches ends at the very loss of one nobody watches; clipping changes it."""
    nothing, best, clipped = (policy.asked for policy in always()[:3])
    ends = [
        run("perceptron, SGD, cosine", False, a, tmp_path / n) for n, a in (("n", nothing), ("b", best), ("c", clipped))
    ]
    assert ends[0].end == ends[1].end != ends[2].end
    assert ends[0].parameters == 16 * 32 + 32 + 32 * 8 + 8


def test_a_cut_that_stays_is_destructive(tmp_path):
    """A strategy that halves the rate for good is one change, and destructive, though nothing was rolled back."""
    ran = run("perceptron, SGD", False, Asked(acting(f"{MISBEHAVING}:Halves")), tmp_path)
    assert [said.name for said in ran.actions] == ["learning_rate"]
    assert (ran.changes, ran.is_destructive, ran.failures) == (1, True, ())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Unknown", "proposes to change learning_rat, which no run has"),
        ("FailsAtOnce", "raised in on_train_begin: ValueError: no such luck"),
    ],
)
def test_what_a_strategy_does_wrong_is_a_failure_of_the_run(tmp_path, name, said):
    """A change of what no run has, and an error before the first step, are told as an error at a check is."""
    ran = run("policy on rewards", False, Asked(acting(f"{MISBEHAVING}:{name}")), tmp_path)
    assert said in ran.failures[0]


def test_a_file_that_cannot_be_written_is_said_before_anything_runs(tmp_path):
    """Exit code 2, and the folder that is not there."""
    told = CliRunner().invoke(steer, ["--quick", "--output", str(tmp_path / "nowhere" / "x.json")])
    assert told.exit_code == 2 and "nowhere" in told.stderr


def test_work_that_raises_hangs_or_dies_costs_only_itself(monkeypatch):
    """Of six pieces one raises, one outlasts its time and one kills its process: each says so, the others are done."""
    monkeypatch.syspath_prepend(MISBEHAVING.parent)
    half = importlib.import_module("steer_work").half
    done = dict(in_processes([1, 2, 3, 4, 5, 6], half, workers=2, timeout=2))
    assert {number: each.value for number, each in done.items() if not each.problem} == {1: -1.0, 4: 0.5, 6: 0.25}
    assert done[2].problem == "ZeroDivisionError: division by zero"
    assert done[3].problem == "it gave no answer within 2 seconds" and done[3].hung
    assert done[5].problem == "its process died with exit code 7"


@pytest.mark.slow
def test_runs_that_are_called_well_are(tmp_path):
    """Left alone each has learned at its end, and its best checkpoint and its last differ by less than a fifth of that."""
    for case in well():
        last, best = (train(case.make(100, False), policy.asked, tmp_path / case.name) for policy in always()[:2])
        assert last.end < last.untrained, case.name
        assert abs(excess(best.chosen, last.end, last.untrained)) < 20, case.name


def test_the_recurrent_network_explodes_by_its_fault_alone(tmp_path):
    """Left alone the sick one is lost; its twin learns more than half."""
    nothing = always()[0].asked
    sick, twin = (run("exploding recurrent network", s, nothing, tmp_path / str(s)) for s in (True, False))
    assert not sick.end < sick.untrained
    assert twin.end < 0.5 * twin.untrained


@pytest.mark.slow
def test_strategies_that_misbehave_have_rows_that_say_so():
    """One raises, one proposes nonsense, one takes a minute a call: their rows say it, all others are whole."""
    uses = [word for name in ("Raises", "Nonsense", "Sleeps") for word in ("--use", f"{MISBEHAVING}:{name}")]
    only = ["--policies", "nothing", "--cases", "overflowing,SGD, cosine", "--timeout", "8", "--quick", "--json"]
    ran = CliRunner().invoke(steer, [*uses, *only], catch_exceptions=False)
    assert ran.exit_code == 0, ran.stderr
    told = {row["name"].rpartition(":")[2]: row for row in json.loads(ran.stdout)["policies"]}
    assert "Raises raised in diagnose: ValueError: no such luck" in told["Raises"]["problem"]
    assert "Nonsense" in told["Nonsense"]["problem"] and "propose_adjustments" in told["Nonsense"]["problem"]
    assert told["Sleeps"]["problem"].endswith("it gave no answer within 8 seconds")
    assert [told[name]["problem"] for name in ("nothing", "clip + skip, best loaded")] == ["", ""]
    assert told["nothing"]["healthy"]["runs"] == told["Raises"]["healthy"]["runs"]


@pytest.mark.slow
def test_no_shipped_strategy_is_worse_than_when_it_was_recorded():
    """The quick runs, made again: no shipped strategy lies above the interval that `--record` kept of it."""
    from steersman_bench.steer.benchmark import Wanted, measured
    from steersman_bench.steer.expecting import FILE, LEEWAY, came_to

    table = measured(Wanted(quick=True))

    assert [*expected.worse(FILE, came_to(table), leeway=LEEWAY)] == []
