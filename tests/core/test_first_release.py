"""What was written against the first release is read for ever: its contract, its journal, the state in its checkpoints.

The files in tests/first_release were written under 0.1 and are never edited: a strategy with every hook, the config of
a run of 40 steps with it, that run's journal, and the state its checkpoint of step 25 carries.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

from steersman import Record, RunPlan, Supervisor, replay
from steersman.config import read
from steersman.hookspecs import HOOKS
from steersman.hyperparameters import Entry, OnPaper
from steersman.journal import Journal, JournalEntry, from_json
from steersman.journal import read as entries_of
from steersman.loading import load
from steersman.registry import Registry
from steersman.saved_state import UPGRADES, VERSION, readable
from steersman.verifying import verify

FIRST = Path(__file__).parents[1] / "first_release"


def supervise(saved: dict[str, Any] | None = None, past: tuple[Record, ...] = ()) -> tuple[Any, list[JournalEntry]]:
    """A supervisor over the strategies of the first release's config, begun anew or from its saved state."""
    problems: list[str] = []
    config = read(FIRST / "steersman.yaml", problems, environment={})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a rename since then warns, and works
        strategies = load(config, problems)
        entries: list[JournalEntry] = []
        journal = Journal(None)
        journal.subscribers.append(entries.append)
        supervisor = Supervisor(
            config,
            strategies,
            plan=RunPlan(40, evaluates=True, eval_every=10, steps_per_epoch=10),
            registry=Registry([Entry("learning_rate", OnPaper(0.01), "live", safer="down")]),
            facts={"the number of ranks": 1},
            journal=journal,
        )
    assert problems == []
    assert supervisor.begin(past, saved, step=25 if saved else 0) == ()
    return supervisor, entries


def records(after: int = 0, until: int = 40) -> tuple[Record, ...]:
    recorded = replay(FIRST / "journal.jsonl").recording.records
    return tuple(record for record in recorded if after < record.step <= until)


def decided(entries: list[JournalEntry], after: int) -> list[tuple[int, str, Any, Any]]:
    named = {"score": "value", "finding": "message", "adjustment": "new", "proposal": "verdict"}
    return [
        (entry.step, entry.kind, entry.data["strategy"], entry.data[named[entry.kind]])
        for entry in entries
        if entry.kind in named and entry.step > after and "token-ledger" not in str(entry.data.get("name"))
    ]


def test_its_strategy_is_asked_in_every_hook():
    """A strategy of the first release loads, is called in every hook of that release but on_rolled_back, and never fails."""
    supervisor, entries = supervise()
    for record in records():
        supervisor.feed(record)
        if record.kind == "eval":
            supervisor.saved(record.step, f"checkpoint-{record.step}")
    supervisor.end()

    first = supervisor.dispatch.strategies[0].strategy
    assert [entry.data for entry in entries if entry.kind == "error"] == []
    assert {*first.calls, "on_rolled_back", "propose_averages", "on_journaled"} == set(HOOKS)
    assert first.calls["on_adjusted"] == first.calls["veto_adjustment"] == 1


def test_its_journal_is_verified(tmp_path):
    """Every decision in a journal of the first release is recomputed to the same."""
    for name in ("journal.jsonl", "strategy.py", "steersman.yaml"):
        shutil.copy(FIRST / name, tmp_path)
    lines = (tmp_path / "journal.jsonl").read_text().replace("tests/first_release", str(tmp_path))
    (tmp_path / "journal.jsonl").write_text(lines)

    told = verify(tmp_path / "journal.jsonl")

    assert (told.decisions > 15, told.differences) == (True, ())


def test_its_state_is_taken_over():
    """A run that goes on from a checkpoint of the first release decides as its straight run did."""
    saved, problem = readable(from_json(json.loads((FIRST / "state.json").read_text())))
    supervisor, entries = supervise(saved, past=records(until=25))
    for record in records(after=25):
        supervisor.feed(record)
    supervisor.end()

    straight = list(entries_of(FIRST / "journal.jsonl"))
    assert problem == ""
    assert [entry.data for entry in entries if entry.kind in ("restart", "error")] == []
    assert decided(entries, after=25) == decided(straight, after=25)
    assert supervisor.dispatch.strategies[0].strategy.calls["on_train_begin"] == 2


def test_a_state_of_a_newer_release_is_left():
    """State that this release cannot read is left alone, with a sentence that says so."""
    state, problem = readable({"version": VERSION + 1, "settled": 10})
    assert state == {}
    assert problem.startswith(f"this checkpoint was written by a newer Steersman (state {VERSION + 1}, this one reads")


def test_an_older_state_is_brought_up(monkeypatch):
    """Each step from an older version to the next is made, in order."""
    monkeypatch.setitem(UPGRADES, VERSION - 2, lambda state: {**state, "made": ["first"]})
    monkeypatch.setitem(UPGRADES, VERSION - 1, lambda state: {**state, "made": [*state["made"], "second"]})
    state, problem = readable({"version": VERSION - 2, "settled": 10})
    assert (state["made"], state["settled"], problem) == (["first", "second"], 10, "")


def test_every_older_version_has_its_upgrade():
    """No version is left without the step to the next, and none has one too many."""
    assert set(UPGRADES) == set(range(1, VERSION))
