"""A real run of W&B, offline, read back: ours over their own x-axis, and the user's rows as they would be without."""

from __future__ import annotations

import pytest

from steersman.journal import JournalEntry
from steersman.reporters import wandb as reporter
from steersman.reporters.isolation import isolated
from steersman.reporters.wandb import STEP, Wandb, active_run

wandb = pytest.importorskip("wandb")
LR = "HealthCheck/learning_rate"


def change(step, value):
    return JournalEntry("adjustment", step, {"hyperparameter": "learning_rate", "new": value}, 1.0)


def finding(step, name="stagnant"):
    return JournalEntry("finding", step, {"name": name, "severity": "warning"}, 1.0)


RECORD = JournalEntry("record", 0, {"usage": ()}, 1.0)


@pytest.fixture
def run(offline_wandb):
    """Begin a run of W&B, which the test may finish."""
    begun = wandb.init(project="a-test")
    yield begun
    begun.finish()


def of(rows, *names):
    return [tuple(row.get(name) for name in names) for row in rows if any(name in row for name in names)]


def users(rows):
    """Return what the user logged: the steps W&B counted, and the values of `mine`."""
    return of(rows, "_step", "mine")


def test_the_user_counts_by_himself(run, offline_wandb):
    """Beside logs without a step, ours take none: the user's rows are 0, 1 and 2, and ours have steps of their own."""
    sink = Wandb(active_run)
    for i in range(3):
        sink.hear(change(10 * i + 4, i / 2))
        sink.hear(finding(10 * i + 4))
        run.log({"mine": i})
    sink.close()
    run.finish()

    rows = offline_wandb()
    assert users(rows) == [(0, 0), (1, 1), (2, 2)]
    expected = [(4, 0.0, 2), (14, 0.5, 2), (24, 1.0, 2)]
    assert of(rows, STEP, LR, "HealthCheck/findings/stagnant") == expected


def test_the_user_gives_the_step(run, offline_wandb):
    """Beside logs with a step, none of the user's is refused, though two of ours come between each two of them."""
    sink = Wandb(active_run)
    for i in range(1, 5):
        sink.hear(change(10 * i, float(i)))
        sink.hear(change(10 * i + 5, i + 0.5))
        run.log({"mine": i}, step=i)
    for i in range(5, 9):  # the user logs more often than we
        run.log({"mine": i}, step=i)
        sink.hear(RECORD)
    sink.close()
    run.finish()

    rows = offline_wandb()
    assert [row for row in users(rows) if row[1] is not None] == [(i, i) for i in range(1, 9)]
    assert of(rows, STEP, LR) == [(step, step / 10) for step in (10, 15, 20, 25, 30, 35, 40, 45)]


def test_the_last_value_of_a_step_counts(run, offline_wandb):
    """A row has one value of a tag: at step 4 the rate before the check gives way to the one after it."""
    sink = Wandb(active_run)
    sink.hear(JournalEntry("check", 4, {"healthy": False, "values": {"learning_rate": 1.0}}, 1.0))
    sink.hear(change(4, 0.5))
    sink.close()
    run.finish()

    assert of(offline_wandb(), STEP, LR, "HealthCheck/healthy") == [(4, 0.5, 0)]


def test_what_waits_is_written_at_the_end(run, offline_wandb):
    """Where the user logs nothing meanwhile, ours wait for the end of the run, and all five are there in order."""
    sink = Wandb(active_run)
    for step in range(1, 6):
        sink.hear(change(step, step / 4))
    assert run.step == 0
    sink.close()
    sink.close()
    run.finish()

    assert of(offline_wandb(), STEP, LR) == [(step, step / 4) for step in range(1, 6)]


def test_what_waits_is_bounded(run, offline_wandb, monkeypatch, logs):
    """Of rows that wait only the newest are kept, here three beside the one that lies open, and that is said once."""
    monkeypatch.setattr(reporter, "_WAITING", 3)
    sink = Wandb(active_run)
    for step in range(1, 8):
        sink.hear(change(step, step / 4))
    sink.close()
    run.finish()

    assert [step for (step,) in of(offline_wandb(), STEP)] == [1, 5, 6, 7]
    assert ["oldest scalars are left out" in log["event"] for log in logs] == [True]


def test_a_run_that_was_finished(run, offline_wandb, logs):
    """After the user's `finish` nothing is raised: it is said once, and what was logged stays."""
    sink = Wandb(active_run)
    hear = isolated(sink.hear)
    hear(change(1, 1.0))
    run.finish()
    for step in range(2, 8):
        hear(change(step, 1.0))

    assert [log["reporter"] for log in logs] == ["Wandb"]
    assert "is finished" in logs[0]["event"]
    assert of(offline_wandb(), STEP) == [(1,)]


def test_without_a_run_nothing_is_done():
    """Where no run is active there is none to find, and what is heard waits."""
    sink = Wandb(active_run)
    sink.hear(change(1, 1.0))
    sink.close()

    assert active_run() is None
    assert wandb.run is None


def test_a_disabled_run_takes_it_all(offline_wandb):
    """A run in mode disabled, which counts no steps, holds nothing up."""
    with wandb.init(mode="disabled") as run:
        sink = Wandb(active_run)
        for step in range(1, 6):
            sink.hear(change(step, 1.0))
            run.log({"mine": step})
        sink.close()

    assert len(sink._waiting) == 0
