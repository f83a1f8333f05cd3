"""What a check decides, and that a resumed run decides as the straight one."""

from __future__ import annotations

import json
import math
from typing import ClassVar

import pytest
from attrs import define

from steersman import Adjust, Finding, Record, Rollback, RunPlan, Save, Stop, hookimpl, state
from steersman.control import Recorded, Said
from steersman.journal import from_json, to_json
from steersman.snapshots import OnPaperSnapshots, Recovery, RecoverySettings

STEPS = 60
VALUES = {"learning_rate": 1.0, "max_grad_norm": 2.0, "kl_penalty": 0.1}
DECISIONS = ("score", "finding", "proposal", "adjustment", "outcome", "restart", "rollback", "control", "note")


@define(eq=False)
class Cuts:
    """Cuts the rate at every other check, and is in a dispute with Raises."""

    seen: int = state(0)

    @hookimpl
    def diagnose(self, check):
        self.seen += 1
        return Finding("sick", f"check {self.seen}") if self.seen % 7 == 0 else None

    @hookimpl
    def propose_adjustments(self, check):
        return Adjust("learning_rate", scale=0.8, because="cuts") if check.step % 4 else None


@define(eq=False)
class Raises:
    """Wants the rate up, raises the clip and lowers the KL penalty now and then; rolls back on NaN."""

    @hookimpl
    def propose_adjustments(self, check):
        yield Adjust("learning_rate", scale=1.3, because="raises")
        if check.step in (8, 22):
            yield Adjust("max_grad_norm", scale=1.5, because="raises")
        if check.step == 30:
            yield Adjust("kl_penalty", scale=0.6, because="raises")
        if check.window is not None and check.window.nonfinite:
            yield Rollback("NaN")
        if check.step in (12, 34):
            yield Save("a test")
        if check.step == 26:
            yield Stop("a test")


def records():
    made = []
    for step in range(1, STEPS + 1):
        loss = math.nan if step in (19, 41) else 2.0 - step / 60 + 0.1 * math.sin(step)
        made.append(Record(step, "train", {"loss": loss, "grad_norm": 1.0}, step / 20, elapsed=float(step)))
        if step % 6 == 0:
            made.append(Record(step, "eval", {"eval_loss": 2.5 - step / 60}, step / 20, elapsed=float(step)))
    return made


EVERYTHING = Said(approved=tuple(range(100)))
SAID = {10: EVERYTHING, 20: EVERYTHING, 24: Said(off="a test"), 32: EVERYTHING, 42: EVERYTHING, 48: Said(reverts=True)}


@pytest.fixture
def begun(supervise):
    """Return a function that makes the run: as shipped, but for shorter waits; it has not begun."""

    def make(mode, **config):
        settings = {
            "extends": "default",
            "mode": mode,
            "check_every": 2,
            "use": ["eval-loss", "trend-health", Cuts(), Raises()],
            "hyperparameters": {name: {} for name in VALUES},
            "rails": {"budget": 14},
            "outcomes": {"judge_after": 2, "release_after": 2},
            **config,
        }
        return supervise(
            config=settings,
            plan=RunPlan(STEPS, warmup_steps=3, keeps_snapshots=True),
            values=VALUES,
            begin=False,
            control=Recorded(dict(SAID)),
            recovery=Recovery(RecoverySettings(max_rollbacks=5), OnPaperSnapshots()),
        )

    return make


def decided(run, after=0):
    """Return the decisions after a step; to which step a rollback goes is not, for snapshots end with a process."""
    told = []
    for entry in run.entries:
        if entry.kind in DECISIONS and entry.step > after:
            data = {k: v for k, v in entry.data.items() if k not in ("to_step", "reason", "evidence")}
            told.append((entry.step, entry.kind, repr(to_json(data))))
    return told


def go_on(run, done):
    for record in records():
        if record.step > done:
            run.supervisor.feed(record)
    run.supervisor.end()


@pytest.mark.parametrize("mode", ["ask", "act", "advise"])
@pytest.mark.parametrize("middle", [False, True], ids=["before its checks", "in the middle of the step after"])
def test_a_resumed_run_decides_as_the_straight_one(begun, mode, middle):
    """Resumed at any step, twice in a row: rails, cooldowns, budget, outcomes, what waits, disputes and alarms go on."""
    straight = begun(mode)
    straight.supervisor.begin()
    go_on(straight, 0)
    kinds = {entry.kind for entry in straight.entries}
    assert mode == "advise" or {"outcome", "restart", "rollback"} <= kinds, "too little happens for this to show much"

    for at in range(2, STEPS - 1, 5):
        saved, past = {}, []
        for until in (at, at + 1):
            run = begun(mode)
            run.supervisor.begin(past, saved, step=past[-1].step if past else 0)
            for record in records():
                if (len(past) and record.step <= past[-1].step) or record.step > until:
                    continue
                run.supervisor.feed(record)
            if middle:
                run.supervisor.settle()
            past = [record for record in records() if record.step <= until]
            saved = from_json(json.loads(json.dumps(to_json(run.supervisor.save()))))
        resumed = begun(mode)
        assert resumed.supervisor.begin(past, saved, step=until) == ()
        go_on(resumed, until)
        after = until if middle else until - 1
        again = decided(straight, after)
        if not middle:  # what comes before the save is not said again
            again = [d for d in again if d[0] > until or d[1] != "score"]
        assert decided(resumed, after) == again, f"resumed at step {until}"
        assert resumed.supervisor.registry.values() == straight.supervisor.registry.values()


def test_what_waits_goes_through_a_checkpoint(begun):
    """Each kind of proposal, with its number, strategy and reason, waits on after a resume."""
    run = begun("ask")
    run.supervisor.begin()
    for record in records():
        if record.step <= 26:
            run.supervisor.feed(record)
    run.supervisor.settle()
    before = run.supervisor.decider
    after = begun("ask").supervisor.decider
    after.restore(from_json(json.loads(json.dumps(to_json(before.save())))))

    assert {type(waits.proposal).__name__ for waits in before.waiting} == {"Adjust", "Stop"}
    told = [[(w.number, w.strategy, w.proposal) for w in decider.waiting] for decider in (before, after)]
    assert told[0] == told[1]
    assert after.numbers == before.numbers


class _TwoRanks:
    """A second rank that holds the same as this one, until it is told otherwise."""

    is_main, size, equal = True, 2, True

    def agree(self, decide):
        return decide()

    def same(self, value):
        return self.equal


def test_ranks_that_differ_end_acting_for_good(supervise):
    """After a write whose result differs between ranks it is said once, and from then on proposals are only told."""
    ranks = _TwoRanks()
    config = {"mode": "act", "check_every": 10, "hyperparameters": {"learning_rate": {}}}
    run = supervise(Cuts(), config=config, plan=RunPlan(1000), values={"learning_rate": 1.0}, ranks=ranks)
    for step in (10, 22, 33, 45):
        ranks.equal = step != 22
        run.train(step, loss=1.0)
        run.supervisor.settle()

    message = "the ranks do not hold the same learning_rate after step 22"
    told = [(e.step, e.data["message"]) for e in run.of("note")]
    assert [(step, said.startswith(message), said.endswith("nothing is changed any more")) for step, said in told] == [
        (22, True, True)
    ]
    assert [(e.step, e.data["verdict"]) for e in run.of("proposal")] == [
        (10, "applied"), (22, "failed"), (33, "advised"), (45, "advised"),
    ]  # fmt: skip
    assert message in run.of("proposal")[2].data["reason"]

    resumed = supervise(Cuts(), config=config, plan=RunPlan(1000), values={"learning_rate": 1.0}, begin=False)
    resumed.supervisor.begin((), from_json(to_json(run.supervisor.save())), step=45)
    resumed.train(53, loss=1.0)
    resumed.supervisor.settle()
    assert [e.data["verdict"] for e in resumed.of("proposal")] == ["advised"]


def test_two_findings_of_health(supervise):
    """A check with a warning, or with NaN in its window, is not healthy; one without logs is neither."""
    run = supervise(Cuts(), config={"check_every": 10})
    for step in range(10, 80, 10):
        run.train(step, loss=math.nan if step == 30 else 1.0)
    run.supervisor.end()

    assert [(e.step, e.data["healthy"]) for e in run.of("check")][:7] == [
        (10, True), (20, True), (30, False), (40, True), (50, True), (60, True), (70, False),
    ]  # fmt: skip


@define(eq=False)
class FailingGuard:
    """A guard that fails where it is told to."""

    hook: str = "diagnose"
    on_error: ClassVar[str] = "stop"

    def _fail(self, hook):
        if hook == self.hook:
            raise RuntimeError("no answer")

    @hookimpl
    def score_checkpoint(self):
        self._fail("score_checkpoint")

    @hookimpl
    def diagnose(self):
        self._fail("diagnose")

    @hookimpl
    def propose_adjustments(self):
        self._fail("propose_adjustments")


class Halves:
    """Halves the rate at each check."""

    @hookimpl
    def propose_adjustments(self):
        return Adjust("learning_rate", scale=0.5, because="each check")


@pytest.mark.parametrize("hook", ["score_checkpoint", "diagnose", "propose_adjustments"])
@pytest.mark.parametrize("comes_first", [True, False])
def test_nothing_is_changed_once_a_guard_failed(supervise, hook, comes_first):
    """At the check at which a guard fails no other strategy changes anything any more: a guard fails closed."""
    asked = (FailingGuard(hook), Halves()) if comes_first else (Halves(), FailingGuard(hook))
    config = {"mode": "act", "check_every": "eval", "hyperparameters": {"learning_rate": {}}}
    run = supervise(*asked, config=config, values={"learning_rate": 1.0}, plan=RunPlan(100))
    run.train(10, loss=1.0)
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.settle()

    assert run.of("adjustment") == []
    (proposal,) = run.of("proposal")
    assert "failing-guard failed" in proposal.data["reason"]
    assert "failing-guard failed" in run.supervisor.actions.stop_because


@pytest.mark.parametrize(("mode", "stops"), [("observe", False), ("advise", True), ("act", True)])
def test_in_observe_a_class_stops_no_run_on_its_own_word(supervise, mode, stops):
    """`observe` touches nothing: there only the config's own `on_error: stop` stops a run."""
    run = supervise(FailingGuard(), config={"mode": mode, "check_every": 10})
    run.train(10, loss=1.0)
    run.supervisor.settle()
    assert (run.supervisor.actions.stop_because is not None) is stops
    asked = supervise(FailingGuard(), config={"mode": mode, "check_every": 10, "on_error": "stop"})
    asked.train(10, loss=1.0)
    asked.supervisor.settle()
    assert asked.supervisor.actions.stop_because is not None
