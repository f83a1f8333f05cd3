"""Whether a run shows ill health: by its severity, by its journal, and by what a replay finds."""

from __future__ import annotations

import json

import pytest

from steersman import Finding, hookimpl
from steersman.checking import Checked, Noticed, checked, checked_live
from steersman.journal import Journal
from steersman.results.run import FindingMade, ReplayedRun

RUN = ReplayedRun(
    "out",
    findings=(
        FindingMade(10, "health", "spike", "warning", "loss rose by 1", {"rise": 1.0}),
        FindingMade(20, "health", "spike", "warning", "loss rose by 2", {"rise": 2.0}),
        FindingMade(30, "health", "diverged", "critical", "loss is NaN"),
        FindingMade(30, "accounts", "tokens", "info", "30 tokens"),
    ),
)


class Says:
    """Makes a warning at each check."""

    @hookimpl
    def diagnose(self, check):
        return Finding("odd", "something is odd", "warning")


@pytest.fixture
def supervised(supervise, tmp_path):
    """Supervise a run of twenty steps into a journal and return its directory."""

    def build(*strategies: object):
        journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
        journal.open()
        run = supervise(*strategies, journal=journal, begin=False, config={"check_every": 10})
        journal.write("run", 0, mode="advise", strategies=[])
        run.supervisor.begin()
        run.train(10, loss=1.0)
        run.train(20, loss=1.0)
        run.supervisor.end()
        journal.close()
        return tmp_path / "out"

    return build


def test_only_what_is_critical():
    """By default only critical findings count; warnings and accounts are none."""
    assert checked(RUN, "critical") == Checked(
        "out", "replay", (Noticed("health", "diverged", "critical", 1, 30, 30, "step 30", "loss is NaN"),)
    )


def test_warnings_as_well():
    """With warnings, one that recurs is told once: how often, where, and the first and last message."""
    spike, diverged = checked(RUN, "warning").noticed
    assert (spike.name, spike.times, spike.first_step, spike.last_step) == ("spike", 2, 10, 20)
    assert (spike.where, spike.evidence) == ("steps 10 and 20", {"rise": 1.0})
    assert spike.message == "at step 10: loss rose by 1 … at step 20: loss rose by 2"
    assert diverged.severity == "critical"


def test_a_run_that_could_not_be_read():
    """It was not looked at, and says why."""
    told = checked(ReplayedRun("out", error="out: it is no JSON"), "critical")
    assert (told.error, told.source, told.is_looked_at) == ("out: it is no JSON", None, False)


def test_a_strategy_that_failed():
    """A run of which a strategy did not look is not looked at, though nothing was found; each failure is told once."""
    failure = {"step": 1, "strategy": "health", "hook": "diagnose", "error": "ValueError: no luck"}
    told = checked(ReplayedRun("out", errors=(failure, {**failure, "step": 2})), "critical")
    assert told.failures == ("health failed in diagnose: ValueError: no luck",)
    assert not told.is_looked_at


def test_what_was_found_live(supervised):
    """A supervised run is told by its journal: what was found at the checks of steps 10 and 20 and at the end."""
    told = checked_live(supervised(Says()), "warning")
    assert told is not None
    assert told.source == "journal"
    assert [(n.strategy, n.name, n.times) for n in told.noticed] == [("says", "odd", 3)]
    assert told.is_looked_at


def test_a_healthy_supervised_run(supervised):
    """A journal without a finding is a run that was looked at and is healthy."""
    told = checked_live(supervised(), "warning")
    assert told is not None
    assert (told.noticed, told.is_looked_at) == ((), True)


def test_a_run_without_a_journal(tmp_path, runs):
    """Where there is no journal, or a log of another program that is called like one, nothing was found live."""
    assert checked_live(runs / "roberta", "critical") is None
    log = tmp_path / "trainer_log.jsonl"
    log.write_text(json.dumps({"current_steps": 10, "loss": 3.1}) + "\n")
    assert checked_live(log, "critical") is None
    assert checked_live(tmp_path / "nowhere", "critical") is None
