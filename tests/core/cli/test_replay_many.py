"""`steersman replay` of several runs: totals, a file of results that is taken up, other processes, other engines."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STATES = ("llama-factory-01.json", "merilion-01.json", "16831-project-01.json")


@pytest.fixture
def tree(tmp_path: Path, runs: Path) -> Path:
    """A folder with three real runs."""
    for name in STATES:
        folder = tmp_path / "tree" / Path(name).stem
        folder.mkdir(parents=True)
        shutil.copy(runs / "trainer_state" / name, folder / "trainer_state.json")
    return tmp_path / "tree"


@pytest.fixture
def accuracies(tmp_path: Path) -> Path:
    """Three runs of two evaluations: the lowest eval loss is first; the accuracy is best there, last, or equal."""
    for i, (first, last) in enumerate([(0.9, 0.8), (0.7, 0.9), (0.5, 0.5)]):
        logs = [
            {"step": 10, "eval_loss": 1.0, "eval_accuracy": first, "eval_note": 1.0},
            {"step": 20, "eval_loss": 2.0, "eval_accuracy": last},
        ]
        path = tmp_path / "acc" / f"run-{i}" / "trainer_state.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"log_history": logs}))
    return tmp_path / "acc"


def test_every_run_of_a_tree(printed_json, tree):
    """A folder's runs are each told as if alone, and together."""
    told = printed_json("replay", tree)
    assert [Path(run["path"]).name for run in told["runs"]] == ["16831-project-01", "llama-factory-01", "merilion-01"]
    alone = printed_json("replay", tree / "llama-factory-01")["runs"][0]
    assert told["runs"][1] == alone
    assert told["choices"] == {} and told["findings"] == []  # of one run only; each run has its own
    total = told["total"]
    assert (total["runs"], total["failed"], total["records"]) == (3, 0, sum(run["records"] for run in told["runs"]))
    assert total["runs_with_alarm"] == 1


def test_wins_ties_losses_and_mean_difference(printed_json, accuracies, command):
    """The last evaluation wins once, loses once and ties once; the mean difference is that of the three."""
    told = printed_json("replay", accuracies, "--use", "eval-loss")["total"]
    [against_last] = [c for c in told["comparisons"] if c["against"] == "last evaluation"]
    assert (against_last["wins"], against_last["ties"], against_last["losses"]) == (1, 1, 1)
    assert against_last["mean_difference"] == pytest.approx((0.1 - 0.2 + 0.0) / 3)
    low, high = against_last["interval"]
    assert -0.21 < low < against_last["mean_difference"] < high < 0.11
    said = command("replay", accuracies, "--use", "eval-loss").stdout
    assert "eval-loss keeps the lowest eval loss in 3 of 3 runs." in said
    assert "-0.0333" in said


def test_a_metric_whose_direction_is_given(printed_json, accuracies):
    """A metric nobody knows is named as such; with its direction given it is one of the task."""
    known = printed_json("replay", accuracies / "run-0", "--task-metric", "eval_note:lower")["runs"][0]["task_metrics"]
    assert [(metric["name"], metric["higher_is_better"]) for metric in known] == [
        ("eval_note", False),
        ("eval_accuracy", True),
    ]


def test_unreadable_runs_are_named_and_the_others_go_on(command, tree):
    """One run that cannot be read is told with its reason, the exit code says so, the totals are of the others."""
    (tree / "merilion-01" / "trainer_state.json").write_bytes(b"\x89PNG\r\n\x00")
    made = command("replay", tree, tree / "nowhere")
    assert made.exit_code == 2
    assert "2 of 4 runs could not be read" in made.stderr
    assert "nowhere: there is no such file or directory" in " ".join(made.stdout.split())
    assert "2 of 4 runs: " in made.stdout
    told = json.loads(command("replay", tree, "--json").stdout)
    assert [run["error"] is None for run in told["runs"]] == [True, True, False]


def test_results_are_streamed_and_taken_up(command, tree, tmp_path):
    """The file holds a line a run; a second call replays only what is not in it."""
    output = tmp_path / "results.jsonl"
    command("replay", tree, "--output", output)
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(Path(line["path"]).name for line in lines) == ["16831-project-01", "llama-factory-01", "merilion-01"]
    assert all(line["version"] == 1 for line in lines)
    assert "3 of 3 runs" in command("replay", tree, "--output", output).stdout
    assert len(output.read_text().splitlines()) == 3


def test_a_run_that_went_on_is_replayed_again(command, trainer_state, tmp_path):
    """What is in the file counts only while the run is as it was; one that still cannot be read adds no line."""
    output = tmp_path / "results.jsonl"
    path = trainer_state({"step": 10, "eval_loss": 2.0})
    for evaluations in (1, 2, 2):
        told = command("replay", path, tmp_path / "nowhere", "--use", "eval-loss", "--output", output)
        assert told.exit_code == 2
        assert f"{evaluations} evaluation" in told.stdout
        trainer_state({"step": 10, "eval_loss": 2.0}, {"step": 20, "eval_loss": 1.0}) if evaluations == 1 else None
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(line["last_step"], line["error"] is None) for line in lines] == [(10, True), (0, False), (20, True)]


def test_a_file_of_other_answers_is_refused(command, tree, tmp_path):
    """Results of other strategies are not mixed into a file."""
    output = tmp_path / "results.jsonl"
    command("replay", tree, "--output", output)
    before = output.read_bytes()
    made = command("replay", tree, "--use", "eval-loss", "--output", output)
    assert made.exit_code == 2
    assert "name another file" in made.stderr
    assert output.read_bytes() == before


def test_two_workers_tell_the_same(printed_json, tree):
    """The answer does not depend on how many processes give it."""
    assert printed_json("replay", tree, "--workers", "2") == printed_json("replay", tree, "--workers", "1")


def test_a_faulty_use_names_the_place(command, tree):
    """An option without a value and a strategy that is not there are said before any run is read."""
    assert "--use" in command("replay", tree, "--use", "eval-loss:=3").stderr
    assert "eval-loss" in command("replay", tree, "--use", "eval-los").stderr  # the nearest name


def test_ctrl_c_leaves_what_is_done(tmp_path, runs):
    """Ctrl-C in the middle ends the processes, keeps the results so far, and a second call ends the work."""
    big = json.loads((runs / "trainer_state" / "unslothgrpo-01.json").read_text())
    for i in range(150):
        path = tmp_path / "tree" / f"run-{i:03}" / "trainer_state.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(big))
    output = tmp_path / "results.jsonl"
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell may ignore it
    start = [sys.executable, "-c", f"{heard}from steersman.cli import main; main()"]
    line = [*start, "replay", str(tmp_path / "tree"), "--output", str(output)]
    first = subprocess.Popen([*line, "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while time.monotonic() < until and (not output.exists() or output.read_bytes().count(b"\n") < 3):
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    done = output.read_bytes().count(b"\n")
    assert first.returncode == 130
    assert said.strip() == "Stopped."
    assert 3 <= done < 150
    subprocess.run([*line, "--workers", "1"], check=True, capture_output=True)
    assert len({json.loads(text)["path"] for text in output.read_text().splitlines()}) == 150
    assert output.read_bytes().count(b"\n") == 150


def test_strategies_that_fail_are_named(command, tree, write):
    """A strategy that raises in some runs is told with the hook, the runs and what it said; the others are asked."""
    failing = write(
        "failing.py",
        "from attrs import define\nfrom steersman import hookimpl\n\n\n@define(eq=False)\nclass Failing:\n"
        '    """Fails at each evaluation."""\n\n    @hookimpl\n    def on_eval(self, run, evaluation):\n'
        '        raise RuntimeError("no luck")\n',
    )
    said = " ".join(command("compare", tree, "--use", f"{failing}:Failing", "--use", "eval-loss").stdout.split())
    assert "Failing failed in on_eval, in 2 runs: RuntimeError: no luck." in said
    assert "eval-loss keeps the lowest eval loss in 2 of 2 runs." in said


def test_directions_that_contradict(command, accuracies):
    """A metric given as better both ways is refused; one given against what is known is taken, with a note."""
    both = ("--task-metric", "eval_note:higher", "--task-metric", "eval_note:lower")
    assert "eval_note is given as better both ways" in command("replay", accuracies, *both).stderr
    made = command("replay", accuracies, "--task-metric", "eval_accuracy:lower")
    assert made.exit_code == 0
    assert "Note: eval_accuracy is known to be better higher" in made.stderr


def test_a_name_that_is_taken(command, accuracies):
    """A strategy cannot be called as what is chosen without one."""
    made = command("compare", accuracies, "--use", "eval-loss as lowest eval loss")
    assert made.exit_code == 2
    assert "'lowest eval loss' is what is chosen without a strategy" in made.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_behind_standard_output(tree):
    """What cannot be written is a sentence and exit code 2, not a traceback."""
    line = [sys.executable, "-m", "steersman.cli", "replay", str(tree / "llama-factory-01"), "--json"]
    with open("/dev/full", "w") as full:
        made = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert made.returncode == 2
    assert "cannot be written: No space left on device" in made.stderr
    assert "Traceback" not in made.stderr


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("",), "a path is empty"),
        (("tests", "--address", "tcp://10.0.0.1:8786"), "name it: --engine dask or --engine ray"),
        (("tests", "--set", "kl_penalty=0.1", "--set", "kl_penalty=0.2"), "kl_penalty is given two values"),
    ],
)
def test_what_cannot_be_meant(command, line, says):
    """An empty path, an address without an engine and two values of one name are refused."""
    for name in ("replay", "compare", "check"):
        made = command(name, *line)
        assert made.exit_code == 2
        assert says in made.stderr


def test_names_that_are_no_unicode(command, tmp_path):
    """A metric with half a character, which JSON allows, and a folder of other bytes are told, not a traceback."""
    path = tmp_path / "nu\udcff" / "trainer_state.json"
    path.parent.mkdir()
    path.write_text('{"log_history": [{"step": 1, "eval_loss": 1.0, "eval_\\ud800_accuracy": 0.4}]}')
    line = [sys.executable, "-m", "steersman.cli", "replay", str(tmp_path), "--use", "eval-loss", "--json"]
    made = subprocess.run(line, capture_output=True, check=False)
    assert (made.returncode, made.stderr) == (0, b"")
    [run] = json.loads(made.stdout)["runs"]
    assert run["path"] == str(path.parent)
    assert [metric["name"] for metric in run["task_metrics"]] == ["eval_\ud800_accuracy"]


def test_what_was_passed_over_is_said(command, tree):
    """A checkpoint that cannot be read beside a good one is named in the totals of many runs."""
    run = tree / "llama-factory-01"
    damaged = run / "checkpoint-2000"
    damaged.mkdir()
    (run / "checkpoint-1000").mkdir()
    (run / "trainer_state.json").rename(run / "checkpoint-1000" / "trainer_state.json")
    (damaged / "trainer_state.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    for line in (("replay", tree), ("compare", tree, "--use", "eval-loss")):
        said = " ".join(command(*line).stdout.split())
        assert "Of 1 run something could not be read" in said
        assert "Git LFS pointer" in said


def test_urls_of_other_commands(command):
    """`explain` tells of a URL as of a folder, `best` says that a checkpoint to use lies on this machine."""
    assert "memory://nowhere: there is no such file or directory" in command("explain", "memory://nowhere").stderr
    made = command("best", "memory://nowhere")
    assert (made.exit_code, "copy the run here" in made.stderr) == (2, True)
