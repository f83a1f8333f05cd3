"""A hook that hangs is named while it hangs, and its strategy rests once it has returned."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from attrs import define, field

from steersman import JournalEntry, Score, hookimpl
from steersman.journal import Journal

PATIENCE = 30
"""Seconds a test waits for what must happen at once; only a fault makes it wait so long."""


@define(eq=False)
class Hangs:
    """Waits in one hook until it is let go."""

    hook: str = "on_log"
    let_go: threading.Event = field(init=False, factory=threading.Event)
    calls: int = field(init=False, default=0)

    def _wait(self, hook: str) -> None:
        if hook == self.hook:
            self.calls += 1
            assert self.let_go.wait(PATIENCE)

    @hookimpl
    def on_log(self) -> None:
        self._wait("on_log")

    @hookimpl
    def score_checkpoint(self) -> Score:
        self._wait("score_checkpoint")
        return Score(1.0)

    @hookimpl
    def diagnose(self) -> Any:
        self._wait("diagnose")
        yield from ()


@define(eq=False)
class Beside:
    """Scores, and hears the journal, beside one that hangs."""

    heard: list[tuple[str, str]] = field(init=False, factory=list)

    @hookimpl
    def score_checkpoint(self) -> Score:
        return Score(2.0)

    @hookimpl
    def on_journaled(self, entry: JournalEntry) -> None:
        self.heard.append((entry.kind, threading.current_thread().name))


@pytest.fixture
def watched(supervise: Any, request: pytest.FixtureRequest):
    """Return a builder of a supervised run in which a strategy is let go as soon as the journal names it."""

    def build(strategy: Any, **config: Any) -> tuple[Any, list[JournalEntry]]:
        overruns: list[JournalEntry] = []

        def hear(entry: JournalEntry) -> None:
            if entry.kind == "overrun":
                overruns.append(entry)
                strategy.let_go.set()

        journal = Journal(None)
        journal.subscribers.append(hear)
        run = supervise(
            strategy, Beside(), config={"time_budget": 0.05, "check_every": "eval", **config}, journal=journal
        )
        request.addfinalizer(run.supervisor.close)
        return run, overruns

    return build


@pytest.mark.parametrize("hook", ["on_log", "score_checkpoint", "diagnose"])
def test_a_hook_that_hangs_is_named_while_it_hangs(watched, hook):
    """The journal names strategy, hook and budget before the hook returns; then it rests, and the others run on."""
    strategy = Hangs(hook)
    run, overruns = watched(strategy)

    for step in (10, 20, 30):
        run.train(step, loss=1.0)
        checkpoint = run.evaluate(step, eval_loss=1.0)
    run.supervisor.end()

    (told,) = overruns
    assert (told.data["strategy"], told.data["hook"], told.data["budget"]) == ("hangs", hook, 0.05)
    (error,) = run.of("error")
    assert error.data["error"] == "TimeoutError: took longer than its time budget of 0.05 s"
    assert (error.data["hook"], error.data["quarantined"]) == (hook, True)
    assert strategy.calls == 1
    assert "beside" in checkpoint.scores
    assert run.supervisor.dispatch.strategies[1].strategy.heard


def test_what_a_hook_returns_too_late_is_left_out(watched):
    """The score of a scorer that overran does not count, not even at that evaluation."""
    run, _ = watched(Hangs("score_checkpoint"))
    assert list(run.evaluate(10, eval_loss=1.0).scores) == ["beside"]


def test_strategies_hear_the_journal_in_one_thread(watched):
    """What the watchdog journals is told to no strategy from its thread; the failure that follows is."""
    run, _ = watched(Hangs())
    run.train(10, loss=1.0)
    beside = run.supervisor.dispatch.strategies[1].strategy
    assert {thread for _, thread in beside.heard} == {threading.current_thread().name}
    assert [kind for kind, _ in beside.heard if kind in ("overrun", "error")] == ["error"]


def test_an_overrun_obeys_on_error(watched):
    """A guard that hangs stops the run where its `on_error` is stop."""
    run, _ = watched(Hangs(), on_error="stop")
    run.train(10, loss=1.0)
    run.supervisor.settle()
    assert "time budget" in run.supervisor.actions.stop_because


def watchdogs() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "steersman-watchdog"}


def test_the_watchdog_ends_with_the_run(supervise):
    """One thread looks while the run goes on, and none once it is closed."""
    before = watchdogs()
    run = supervise(Beside(), config={"time_budget": 5})
    (watchdog,) = watchdogs() - before
    run.supervisor.close()
    assert not watchdog.is_alive()


def test_the_watchdog_ends_with_what_it_watches(supervise):
    """A supervisor that is dropped without an end leaves no thread behind."""
    before = watchdogs()
    supervise(Beside(), config={"time_budget": 0.05})
    (watchdog,) = watchdogs() - before
    gc.collect()
    watchdog.join(PATIENCE)
    assert not watchdog.is_alive()


@pytest.mark.parametrize("replaying", [True, False])
def test_nobody_watches_without_a_need(supervise, replaying):
    """No thread is started in a replay, nor where no strategy has a time budget."""
    run = supervise(Beside(), config={"time_budget": 5 if replaying else None}, replaying=replaying)
    assert run.supervisor.watchdog is None
