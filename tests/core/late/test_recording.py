"""`steersman.record`: what is refused at once, what is appended, and that nothing tears while others write."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import steersman
from steersman import LateScore
from steersman.journal import Journal, locked, read
from steersman.readers import UnreadableRun
from steersman.readers.journal import current


def journal_of(folder: Path, *evaluated: int, saved: tuple[int, ...] = ()) -> Journal:
    """Return the open journal of a supervised run with these evaluations and saves."""
    journal = Journal(folder / "steersman" / "journal.jsonl")
    journal.open()
    journal.write("run", 0, resumed=False, mode="advise", strategies=[{"name": "eval-loss"}])
    for step in evaluated:
        journal.write("score", step, strategy="eval-loss", value=1.0, eval_loss=1.0)
    for step in saved:
        journal.write("checkpoint_saved", step, path=str(folder / f"checkpoint-{step}"), evaluated=False)
    return journal


def late_lines(path: Path):
    return [(e.step, dict(e.data["metrics"]), e.data["by"]) for e in read(path) if e.kind == "late_score"]


def test_what_is_recorded_is_a_line_of_the_journal(tmp_path):
    """Run directory and journal file name the same run; a step may be evaluated or only saved."""
    journal = journal_of(tmp_path, 10, saved=(15,))
    heard = steersman.record(tmp_path, 10, safety=0.93, f1=1, by="red team")
    steersman.record(str(journal.path), step=15, safety=0.5)

    assert heard == LateScore(10, {"safety": 0.93, "f1": 1.0}, "red team")
    assert late_lines(journal.path) == [(10, {"safety": 0.93, "f1": 1.0}, "red team"), (15, {"safety": 0.5}, "")]


@pytest.mark.parametrize(
    ("step", "metrics", "said"),
    [
        (10, {}, "name at least one metric, such as safety=0.93"),
        (10, {"safety": math.nan}, "safety must be a finite number, got nan; leave it out where it is not known"),
        (10, {"safety": math.inf}, "safety must be a finite number, got inf"),
        (10, {"safety": "0.9"}, "safety must be a number, got str '0.9'"),
        (10, {"safety": True}, "safety must be a number, got bool True"),
        (10, {"safety": None}, "safety must be a number, got NoneType None"),
        (10, {" ": 1.0, "a\nb": 1.0}, "' ' cannot be the name of a metric; 'a\\nb' cannot be the name of a metric"),
        (10, {"require": 1.0}, "'require' cannot be the name of a metric"),
        (-1, {"safety": 1.0}, "`step` must be a whole number of optimizer steps, got -1"),
        (1.5, {"safety": 1.0}, "`step` must be a whole number of optimizer steps, got 1.5"),
        (15, {"safety": 1.0}, "step 15 was neither evaluated nor saved; the nearest are 10 and 20"),
        (5, {"safety": 1.0}, "step 5 was neither evaluated nor saved; the nearest is 10"),
        (99, {"safety": 1.0}, "step 99 was neither evaluated nor saved; the nearest is 20"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(tmp_path, step, metrics, said):
    """A sentence says what is wrong, and nothing is written."""
    journal = journal_of(tmp_path, 10, 20)

    with pytest.raises(ValueError) as refused:
        steersman.record(tmp_path, step, **metrics)

    assert said in str(refused.value)
    assert late_lines(journal.path) == []


def test_where_there_is_no_run(tmp_path):
    """No such path, a folder without a run, a file that is no journal: each is told as it is, and nothing is made."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")

    for run, said in (
        ("gone", "there is no such file or directory"),
        ("empty", "it holds no "),
        ("notes.txt", "expected a run directory or a journal.jsonl"),
    ):
        with pytest.raises(UnreadableRun, match=said):
            steersman.record(tmp_path / run, 10, safety=1.0)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "notes.txt"]


def test_weights_that_a_resume_superseded_are_unknown(tmp_path):
    """Resumed at 20, the steps after it are trained again: until they are evaluated no score belongs to them."""
    journal = journal_of(tmp_path, 10, 20, 30)
    journal.write("run", 20, resumed=True, settled=20)

    steersman.record(tmp_path, 20, safety=1.0)
    with pytest.raises(ValueError, match="step 30 was neither evaluated nor saved; the nearest is 20"):
        steersman.record(tmp_path, 30, safety=1.0)


def test_a_late_score_of_superseded_weights_counts_no_more(tmp_path):
    """Of scores for 20 and 30, a resume at 20 leaves that of the weights it goes on from."""
    journal = journal_of(tmp_path, 10, 20, 30)
    steersman.record(tmp_path, 20, safety=0.9)
    steersman.record(tmp_path, 30, safety=0.8)
    journal.write("run", 20, resumed=True, settled=-1)

    assert [e.step for e in current(journal.path) if e.kind == "late_score"] == [20]


def test_a_run_that_was_never_supervised_gets_a_journal(tmp_path, runs):
    """Its evaluations are those of its trainer_state.json, and its journal holds late scores only."""
    state = json.loads((runs / "trainer_state" / "llama-factory-01.json").read_text())
    folder = tmp_path / "out" / "checkpoint-1200"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps(state))

    steersman.record(tmp_path / "out", 200, safety=0.9)
    steersman.record(tmp_path / "out", 1200, safety=0.8)
    with pytest.raises(ValueError, match="step 250 was neither evaluated nor saved; the nearest are 200 and 300"):
        steersman.record(tmp_path / "out", 250, safety=0.8)

    replayed = steersman.replay(tmp_path / "out")
    assert late_lines(tmp_path / "out" / "steersman" / "journal.jsonl") == [
        (200, {"safety": 0.9}, ""),
        (1200, {"safety": 0.8}, ""),
    ]
    assert replayed.recording.format == "trainer_state"
    assert replayed.recording.late_left == (LateScore(200, {"safety": 0.9}), LateScore(1200, {"safety": 0.8}))
    assert [(c.step, c.metrics["safety"]) for c in replayed.ranking.all() if "safety" in c.metrics] == [
        (200, 0.9),
        (1200, 0.8),
    ]


def test_a_torn_last_line_is_ended_and_not_cut(tmp_path):
    """A line that a killed run left torn stays, for it may be one that is being written; the record is whole behind it."""
    journal = journal_of(tmp_path, 10)
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"v":1,"kind":"note","st')

    steersman.record(tmp_path, 10, safety=0.9)

    assert journal.path.read_bytes().splitlines()[-2] == b'{"v":1,"kind":"note","st'
    assert late_lines(journal.path) == [(10, {"safety": 0.9}, "")]


def test_a_lock_that_is_held_is_waited_for_and_told(tmp_path):
    """While another process holds the lock nothing is appended; after the patience it is named."""
    path = tmp_path / "journal.jsonl"
    hold = f"import sys; from steersman.journal import locked; from pathlib import Path\nwith locked(Path({str(path)!r})): print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        told = "another process has held the lock .*journal.jsonl.lock for 0.05 s"
        with pytest.raises(TimeoutError, match=told), locked(path, patience=0.05):
            pytest.fail("the lock was held by another process")
        other.communicate()
    with locked(path, patience=5.0):
        assert other.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(tmp_path):
    """Where the line cannot be written the error says so, with the journal."""
    journal = journal_of(tmp_path, 10)
    journal.close()
    full = tmp_path / "full.jsonl"
    full.symlink_to("/dev/full")

    from steersman.late.recording import append

    with pytest.raises(OSError, match="full.jsonl cannot be written: No space left on device"):
        append(full, lambda journal: journal.write("late_score", 10, metrics={"safety": 1.0}, by=""))
    Path("/dev/full.lock").unlink(missing_ok=True)


def _records(folder: str, who: int, times: int) -> None:
    for index in range(times):
        steersman.record(folder, 10, **{f"m{who}": float(index)}, by="x" * (index * 37 % 5000))


def test_nothing_tears_while_processes_record_beside_a_live_run(tmp_path):
    """Two processes append 100 lines each while the run writes 600 of its own: every line is whole, and in order."""
    journal = journal_of(tmp_path, 10)
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=_records, args=(str(tmp_path), who, 100)) for who in (1, 2)]
    for other in others:
        other.start()
    for own in range(600):
        journal.write("note", own, message="y" * (own * 53 % 9000), severity="info")
        time.sleep(0.0005)
    for other in others:
        other.join()

    raw = journal.path.read_bytes()
    lines = [json.loads(line) for line in raw.splitlines() if line]
    assert raw.endswith(b"\n")
    assert [line["step"] for line in lines if line["kind"] == "note"] == list(range(600))
    assert all(line["message"] == "y" * (line["step"] * 53 % 9000) for line in lines if line["kind"] == "note")
    for who in (1, 2):
        mine = [line["metrics"][f"m{who}"] for line in lines if f"m{who}" in line.get("metrics", {})]
        assert mine == [float(index) for index in range(100)]
    assert [other.exitcode for other in others] == [0, 0]
    assert os.path.getsize(f"{journal.path}.lock") == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eval_f1", "the evaluation of step 10 gave eval_f1 (0.5) itself; record what another job found under a name"),
        ("eval_loss", "eval_loss never comes late, it is what the run itself measured; record what another job found"),
        ("loss", "loss never comes late"),
    ],
)
def test_what_the_run_measured_is_never_written_over(tmp_path, name, said):
    """A metric that the evaluation of that very step gave is refused; another step, without it, may get it late."""
    journal = journal_of(tmp_path, 20)
    journal.write("record", 10, of="eval", metrics={"eval_loss": 1.0, "eval_f1": 0.5})
    with pytest.raises(ValueError, match=re.escape(said)):
        steersman.record(tmp_path, 10, **{name: 0.1})

    assert late_lines(journal.path) == []
    if name == "eval_f1":
        steersman.record(tmp_path, 20, eval_f1=0.1)
        assert late_lines(journal.path) == [(20, {"eval_f1": 0.1}, "")]


def test_what_an_unsupervised_run_measured_is_never_written_over(tmp_path, trainer_state):
    """Its log tells what its evaluations gave."""
    trainer_state({"step": 10, "eval_loss": 1.0, "eval_f1": 0.5})
    with pytest.raises(ValueError, match=re.escape("the evaluation of step 10 gave eval_f1 (0.5) itself")):
        steersman.record(tmp_path, 10, eval_f1=0.1)
    assert not (tmp_path / "steersman").exists()
