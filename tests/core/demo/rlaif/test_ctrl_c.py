"""Ctrl-C at any moment of `steersman demo rlaif` leaves no process, no port and no long wait."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_server import serving as misbehaving

from steersman.demo.rlaif.rule import RULE

pytestmark = pytest.mark.slow


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so, 200 seconds at most."""
    until = time.monotonic() + 200
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A demo in a process group of its own that hears Ctrl-C, also where a shell ignores it; killed at the end."""
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = [
        sys.executable,
        "-c",
        f"{heard}from steersman.cli import main; main()",
        "demo",
        "rlaif",
        "--output",
        str(folder),
        *options,
    ]
    with subprocess.Popen(
        start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def interrupted(running: subprocess.Popen[str]) -> tuple[str, str]:
    """Send Ctrl-C; return what was printed and what was said until the end."""
    running.send_signal(signal.SIGINT)
    return running.communicate(timeout=60)


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    """Stopped in the midst of the training it exits with 130, and nobody listens on the teacher's port any more."""
    journal = tmp_path / "run" / "steersman" / "journal.jsonl"
    with started(tmp_path / "run") as running:
        wait_for(lambda: journal.is_file() and '"kind":"record"' in journal.read_text())
        page, errors = interrupted(running)
    assert (running.returncode, "Stopped." in errors) == (130, True)
    assert RULE in page and "multiplies the learning rate by" in page
    port = re.search(r"http://127\.0\.0\.1:(\d+)/v1", page)
    assert port is not None
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(port[1])))
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)


@pytest.mark.parametrize("first", [["stall"], ["answer", "stall"]])
def test_ctrl_c_while_the_teacher_hangs(tmp_path: Path, first: list[str]) -> None:
    """Stopped while the first question hangs, or those of the training, it ends long before the 20 seconds of a call."""
    with misbehaving() as server:
        server.plan.extend([*first, *["stall"] * 50])
        server.stall = 30.0
        with started(tmp_path / "run", "--teacher-url", server.base_url, "--teacher-model", "m") as running:
            wait_for(lambda: server.requests >= (1 if first == ["stall"] else 5))
            began = time.monotonic()
            _, errors = interrupted(running)
            took = time.monotonic() - began
    assert (running.returncode, errors.split()) == (130, ["Stopped."])
    assert took < 10
    with pytest.raises(ProcessLookupError):
        os.killpg(running.pid, 0)
