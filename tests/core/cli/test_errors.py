"""What a user can get wrong: a sentence on standard error and exit code 2, never a traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture
def command_here(command, tmp_path, monkeypatch):
    """Return a caller of `steersman` in an empty folder; a traceback is raised here."""
    monkeypatch.chdir(tmp_path)
    return command


def check_is_a_sentence(result, *parts):
    assert result.exit_code == 2
    assert result.stdout == ""
    for part in parts:
        assert part in result.stderr


@pytest.mark.parametrize("name", ["replay", "explain", "compare"])
def test_no_such_file(command_here, name):
    """A path that is not there is named."""
    check_is_a_sentence(command_here(name, "nowhere"), "Error: nowhere: there is no such file or directory")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "it is no JSON"),
        ("[]", "expected a JSON object, got list"),
        ("{}", "it has no `log_history`"),
        ("version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    ],
)
def test_a_file_that_is_no_run(command_here, write, content, reason):
    """A file that is no trainer_state.json says what it is instead."""
    check_is_a_sentence(command_here("replay", write("state.json", content)), "state.json: ", reason)


def test_a_folder_without_a_run(command_here, tmp_path):
    """A folder that holds no run says what would be read."""
    check_is_a_sentence(command_here("replay", tmp_path), "it holds no run: no journal, no trainer_state.json")
    check_is_a_sentence(command_here("explain", tmp_path), "it holds no run: no journal, no trainer_state.json")


def test_a_run_without_a_journal(command_here, trainer_state, tmp_path):
    """To explain a run that Steersman did not supervise is answered from a replay, and said to be one."""
    trainer_state({"step": 1, "loss": 1.0})
    told = command_here("explain", tmp_path)
    assert told.exit_code == 0
    assert "Steersman was not attached" in " ".join(told.stdout.split())


def test_an_empty_journal(command_here, write):
    """A journal without a line is said to hold nothing."""
    check_is_a_sentence(command_here("explain", write("journal.jsonl", "")), "it holds no entry of Steersman's journal")


def test_a_journal_of_a_newer_format(command_here, write):
    """A journal of a newer format is refused, naming the line."""
    journal = write("journal.jsonl", '{"v": 99, "kind": "run", "step": 0}\n')
    check_is_a_sentence(command_here("explain", journal), "line 1: format 99 is newer than this Steersman reads (1)")


def test_every_fault_of_a_config_at_once(command_here, trainer_state, write):
    """All faults of a config come at once, each with its path and the nearest valid name."""
    config = write("steersman.yaml", "mode: actt\nuse: [eval-los]\n")
    result = command_here("replay", trainer_state({"step": 1, "loss": 1.0}), "--config", config)
    check_is_a_sentence(result, "2 problems", "$.mode", "did you mean 'act'?", "$.use[0]", "did you mean 'eval-loss'?")


def test_a_config_that_is_not_there(command_here, trainer_state):
    """A config that is not there is named."""
    result = command_here("replay", trainer_state({"step": 1, "loss": 1.0}), "--config", "nowhere.yaml")
    check_is_a_sentence(result, "nowhere.yaml", "it cannot be read: No such file or directory")


@pytest.mark.parametrize("setting", ["kl_penalty", "kl_penalty=high", "=1", "kl_penalty=nan", "kl_penalty=inf"])
def test_a_value_that_is_none(command_here, trainer_state, setting):
    """A value that is no finite number is refused, with an example."""
    result = command_here("replay", trainer_state({"step": 1, "loss": 1.0}), "--set", setting)
    check_is_a_sentence(result, "expected name=value with a finite number, such as max_grad_norm=1.0", repr(setting))


def test_a_strategy_that_may_raise(command_here, trainer_state, write):
    """With `on_error: raise` a failing strategy ends the replay with its name, hook and error in one sentence."""
    write("broken.py", BROKEN)
    config = write("steersman.yaml", "on_error: raise\nuse: [./broken.py:Broken]\n")
    result = command_here("replay", trainer_state({"step": 1, "loss": 1.0}), "--config", config)
    check_is_a_sentence(result, "Broken failed in on_log: no luck")


def test_json_of_an_unreadable_run(command_here):
    """With --json an unreadable run is an object with its error, beside the sentence and exit code 2."""
    result = command_here("replay", "nowhere", "--json")
    assert result.exit_code == 2
    assert "there is no such file" in result.stderr
    told = json.loads(result.stdout)
    assert told["runs"][0]["error"] == "nowhere: there is no such file or directory"
    assert (told["choices"], told["scores"], told["findings"], told["proposals"]) == ({}, [], [], [])


WAITING = """
import pathlib, time
from attrs import define
from steersman import hookimpl


@define(eq=False)
class Waiting:
    @hookimpl
    def on_log(self, run, log):
        pathlib.Path("begun").touch()
        time.sleep(60)
"""


def test_interrupted(write, trainer_state, tmp_path):
    """Ctrl-C ends a command with exit code 130 and a word, not a traceback."""
    path, waiting = trainer_state({"step": 1, "loss": 1.0}), write("waiting.py", WAITING)
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell may ignore it
    command = ["replay", str(path), "--use", f"{waiting}:Waiting"]
    with subprocess.Popen(
        [sys.executable, "-c", f"{heard}from steersman.cli import main; main()", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (tmp_path / "begun").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "Stopped.")


BROKEN = """
from attrs import define
from steersman import hookimpl


@define(eq=False)
class Broken:
    @hookimpl
    def on_log(self, run, log):
        raise ValueError("no luck")
"""
