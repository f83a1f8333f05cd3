"""`steersman record`: what it says, and what it refuses."""

from __future__ import annotations

import pytest

from steersman.journal import Journal, read


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A run that was evaluated at 10, in the working directory."""
    monkeypatch.chdir(tmp_path)
    journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
    journal.open()
    journal.write("run", 0, resumed=False)
    journal.write("unscored", 10, metrics={})
    journal.close()
    return journal.path


def test_what_is_recorded_is_told(command, printed_json, out):
    """Several metrics at once, names with any sign but `=` at their end, who found them."""
    result = command("record", "out", "--step", "10", "safety=0.93", "eval/mt=bench=7", "--by", "a test")
    told = printed_json("record", "out", "--step", "10", "f1=.5")

    assert (result.exit_code, result.stdout) == (0, "Step 10 of out: safety 0.93 and eval/mt=bench 7\n")
    assert told == {"version": 1, "run": "out", "step": 10, "metrics": {"f1": 0.5}, "by": ""}
    assert [(e.data["metrics"], e.data["by"]) for e in read(out) if e.kind == "late_score"] == [
        ({"safety": 0.93, "eval/mt=bench": 7.0}, "a test"), ({"f1": 0.5}, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("out", "safety=1"), "Missing option '--step'"),
        (("out", "--step", "10"), "Missing argument 'NAME=VALUE...'"),
        (("out", "--step", "10", "safety"), "expected NAME=VALUE with a number, such as safety=0.93, got 'safety'"),
        (
            ("out", "--step", "10", "safety=high"),
            "expected NAME=VALUE with a number, such as safety=0.93, got 'safety=high'",
        ),
        (("out", "--step", "10", "safety=1", "safety=2"), "a metric is named twice"),
        (("out", "--step", "10", "step=1"), "step cannot be the name of a metric"),
        (("out", "--step", "10", "safety=nan"), "safety must be a finite number, got nan"),
        (("out", "--step", "10", "=1"), "'' cannot be the name of a metric"),
        (("out", "--step", "11", "safety=1"), "step 11 was neither evaluated nor saved; the nearest is 10"),
        (("nowhere", "--step", "10", "safety=1"), "nowhere: there is no such file or directory"),
    ],
)
def test_errors_are_sentences(command, out, arguments, said):
    """Exit status 2, the sentence, and nothing is recorded."""
    result = command("record", *arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert [e.kind for e in read(out)] == ["run", "unscored"]


def test_a_run_without_a_journal_is_not_taken_for_a_supervised_one(command, tmp_path, runs, monkeypatch):
    """Its journal holds late scores only: `explain` and `approve` still say that it was never supervised."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trainer_state.json").write_bytes(
        (runs / "trainer_state" / "llama-factory-01.json").read_bytes()
    )

    assert command("record", "out", "--step", "200", "safety=0.9").exit_code == 0
    assert "there is no supervised run here" in command("approve", "out").stderr
    assert "1220" in command("replay", "out").stdout
