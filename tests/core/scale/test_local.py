"""Many runs over the processes of this machine: all are told, a killed process loses none but the run that kills it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from steersman.asking import Asking
from steersman.scale.local import in_this_process, over_cores
from steersman.scale.work import Work

KILLER = """
import os, signal
from attrs import define
from steersman import hookimpl


@define(eq=False)
class Killer:
    \"\"\"Kills its process at a metric called deadly.\"\"\"

    @hookimpl
    def on_log(self, run, log):
        if "deadly" in log.metrics:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def tree(tmp_path: Path):
    """Return a builder of a folder with so many runs of two logs and an evaluation each."""

    def build(count: int, **also: float) -> list[str]:
        paths = []
        for i in range(count):
            logs = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, **also}, {"step": 2, "eval_loss": 1.0 + i}]
            path = tmp_path / f"run-{i:03}" / "trainer_state.json"
            path.parent.mkdir()
            path.write_text(json.dumps({"log_history": logs, "max_steps": 2}))
            paths.append(str(path))
        return paths

    return build


def test_two_processes_tell_what_one_tells(tree):
    """Each run is told once, and the same whether one process does all or two share them."""
    paths = tree(6)
    work = Work(Asking(None, ("eval-loss",), afresh=True))
    pieces = [tuple(paths[:3]), tuple(paths[3:])]
    alone = {run.path: run for runs in in_this_process(work, pieces) for run in runs}
    shared = {run.path: run for runs in over_cores(work, iter(pieces), 2) for run in runs}
    assert sorted(alone) == paths
    assert shared == alone
    assert [alone[path].choices["eval-loss"].value for path in paths] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_a_killed_process_loses_only_the_run_that_kills_it(tree, write):
    """Where a strategy kills its process in one run, that run says so and every other is told."""
    killer = write("killer.py", KILLER)
    paths = tree(5)
    state = json.loads(Path(paths[2]).read_text())
    state["log_history"][0]["deadly"] = 1.0
    Path(paths[2]).write_text(json.dumps(state))
    work = Work(Asking(None, (f"{killer}:Killer", "eval-loss"), afresh=True))
    told = {run.path: run for runs in over_cores(work, iter([tuple(paths)]), 1) for run in runs}
    assert sorted(told) == paths
    assert [path for path in paths if told[path].error] == [paths[2]]
    assert "was killed, perhaps for want of memory" in (told[paths[2]].error or "")
    assert told[paths[4]].choices["eval-loss"].value == 5.0


def test_who_asks_for_no_more_leaves_no_process(tree):
    """Where the caller stops in the middle, the processes are ended."""
    import multiprocessing

    before = {*multiprocessing.active_children()}
    made = over_cores(Work(Asking(None, ("eval-loss",), afresh=True)), ((path,) for path in tree(4)), 2)
    assert len(next(made)) == 1
    made.close()
    for process in {*multiprocessing.active_children()} - before:
        process.join(timeout=60)
    assert {*multiprocessing.active_children()} - before == set()


def test_an_unreadable_run_and_a_failing_strategy_are_errors_of_their_run(tree, write):
    """A file that is no run, and a strategy whose failure is to be raised, end no other run."""
    failing = write(
        "failing.py",
        "from attrs import define\nfrom steersman import hookimpl\n\n@define(eq=False)\nclass Failing:\n"
        '    """Fails at a high loss."""\n\n    @hookimpl\n    def on_log(self, run, log):\n'
        '        if log.metrics.get("loss", 0) > 9:\n            raise RuntimeError("too high")\n',
    )
    paths = tree(3)
    Path(paths[0]).write_bytes(b"\x00\x01")
    Path(paths[1]).write_text(json.dumps({"log_history": [{"step": 1, "loss": 10.0}]}))
    entry = {f"{failing}:Failing": {"on_error": "raise"}}
    work = Work(Asking(None, (entry, "eval-loss"), afresh=True))
    told = [run for runs in in_this_process(work, [tuple(paths)]) for run in runs]
    assert [run.path for run in told] == paths
    assert paths[0] in (told[0].error or "")
    assert "too high" in (told[1].error or "")
    assert told[2].error is None
    assert told[2].choices["eval-loss"].step == 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes where Linux tells of them")
def test_processes_end_with_their_caller(tree, tmp_path):
    """Where the caller is killed, as for want of memory, its processes do not stay."""
    output, paths = tmp_path / "results.jsonl", tree(64)
    line = [sys.executable, "-m", "steersman.cli", "replay", *paths, "--workers", "2", "--output", str(output)]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as caller:
        until, ours = time.monotonic() + 60, set[int]()
        while time.monotonic() < until and len(ours) < 2:
            ours = _children(caller.pid)
            time.sleep(0.02)
        caller.kill()
    assert len(ours) >= 2
    until = time.monotonic() + 30
    while time.monotonic() < until and any(Path(f"/proc/{pid}/stat").exists() and _is_alive(pid) for pid in ours):
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in ours)


def _children(pid: int) -> set[int]:
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except OSError:
        return set()


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_a_strategy_prints_is_no_result(tree, write, capsys):
    """A strategy that prints does not write into what the command answers."""
    printing = write(
        "printing.py",
        "from attrs import define\nfrom steersman import hookimpl\n\n\n@define(eq=False)\nclass Printing:\n"
        '    """Prints."""\n\n    @hookimpl\n    def on_train_begin(self, run):\n        print("hello")\n',
    )
    work = Work(Asking(None, (f"{printing}:Printing", "eval-loss"), afresh=True))
    assert [run.error for runs in in_this_process(work, [tuple(tree(1))]) for run in runs] == [None]
    printed = capsys.readouterr()
    assert (printed.out, "hello" in printed.err) == ("", True)
