"""Event files of our own, read back with TensorBoard."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from steersman.journal import JournalEntry
from steersman.reporters.isolation import isolated
from steersman.reporters.tensorboard import OwnWriter, TensorBoard


def change(step, value, time=1_700_000_000.0):
    return JournalEntry("adjustment", step, {"hyperparameter": "learning_rate[1]", "new": value}, time)


def shown(folder, tag="HealthCheck/learning_rate[1]"):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value, event.wall_time) for event in events.Scalars(tag)]


def test_steps_values_and_times_are_those_of_the_entries(tmp_path):
    """Each point has the step, the value and the time of its line, and can be read before the file is closed."""
    sink = TensorBoard(OwnWriter(tmp_path))
    for step in (4, 8):
        sink.hear(change(step, step / 16, 1_700_000_000.0 + step))

    assert shown(tmp_path) == [(4, 0.25, 1_700_000_004.0), (8, 0.5, 1_700_000_008.0)]
    sink.close()
    sink.close()
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_to_write_makes_no_file(tmp_path):
    """A run whose entries have no scalars leaves no event file, and what finds a writer is not asked."""
    asked = []
    for sink in (TensorBoard(OwnWriter(tmp_path)), TensorBoard(lambda: asked.append(1))):
        sink.hear(JournalEntry("note", 4, {"message": "all is well"}, 1.0))
        sink.hear(JournalEntry("record", 4, {"usage": ()}, 1.0))
        sink.close()

    assert list(tmp_path.iterdir()) == []
    assert asked == []


def test_a_resumed_run_supersedes_the_steps_it_makes_anew(tmp_path):
    """After 4, 8, 12 a run that goes on from 4 gives 8, 12, 16: TensorBoard shows each once, in order, the newer ones."""
    for step_before, steps in ((0, (4, 8, 12)), (4, (8, 12, 16))):
        sink = TensorBoard(OwnWriter(tmp_path, step_before))
        for step in steps:
            sink.hear(change(step, 1.0 if step_before else 0.5))
        sink.close()
        time.sleep(1.1)  # the names of its files order within a second by a number without leading zeros

    assert [(step, value) for step, value, _ in shown(tmp_path)] == [(4, 0.5), (8, 1.0), (12, 1.0), (16, 1.0)]


def test_a_folder_that_cannot_be_made(tmp_path, logs):
    """Where a file lies in the way, it is tried three times, said once, and nothing is raised."""
    (tmp_path / "logs").write_text("a file")
    sink = TensorBoard(OwnWriter(tmp_path / "logs" / "run"))
    hear = isolated(sink.hear)

    for step in range(1, 6):
        hear(change(step, 1.0))
    sink.close()

    assert [log["reporter"] for log in logs] == ["TensorBoard"]
    assert (tmp_path / "logs").read_text() == "a file"


FULL = """
import resource, sys
from pathlib import Path
from structlog.testing import capture_logs
from steersman.journal import JournalEntry
from steersman.reporters.sinks import Trackers, reporting
from steersman.reporters.isolation import isolated
made = reporting(("tensorboard",), "advise", Trackers(Path(sys.argv[1])))
hear = isolated(*made.reporters)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with capture_logs() as logs:
    for step in range(1, 101):
        hear(JournalEntry("adjustment", step, {"hyperparameter": "learning_rate", "new": 1.0}, 1.0))
    made.close()
print([log["log_level"] for log in logs].count("error"), logs[0]["reporter"], "went on")
"""


@pytest.mark.slow
def test_a_disk_that_is_full(tmp_path):
    """Where a file may not grow over 2000 bytes, 100 entries are heard; it is said once, and once at the end."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=100, env=dict(os.environ)
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "TensorBoard", "went", "on"]
    kept = shown(tmp_path, "HealthCheck/learning_rate")
    assert 5 < len(kept) < 100
    assert [step for step, *_ in kept] == list(range(1, len(kept) + 1))
