"""The policy of rollbacks: when a state is kept, when it is put back, how often, and what then."""

from __future__ import annotations

import math

import pytest
from attrs import define, field

from steersman import Adjust, Finding, Rollback, RunPlan, hookimpl
from steersman.control import Nobody, Recorded, Said
from steersman.reporters.console import lines
from steersman.snapshots import Recovery, RecoverySettings


@define(eq=False)
class Kept:
    """Snapshots of a model that is a list of what happened to it; `finite` is what it finds."""

    happened: list = field(factory=list)
    finite: bool = True
    size: int = 8

    def take(self):
        if self.finite:
            self.happened.append("taken")
        return self.finite

    def restore(self):
        self.happened.append("restored")

    def release(self):
        self.happened.append("released")


@define(eq=False)
class RollsBack:
    """Proposes a rollback where something is NaN, and at the steps it is told to; unwell at others."""

    at: tuple = ()
    unwell: tuple = ()
    told: list = field(factory=list)

    @hookimpl
    def diagnose(self, check):
        return Finding("unwell", "a test says so", "critical") if check.step in self.unwell else None

    @hookimpl
    def propose_adjustments(self, check):
        sick = check.window is not None and check.window.nonfinite
        return Rollback("it diverged") if sick or check.step in self.at else None

    @hookimpl
    def on_rolled_back(self, rollback):
        self.told.append((rollback.step, rollback.to_step, rollback.strategy, rollback.because, rollback.left))


@define(eq=False)
class Again(RollsBack):
    """The same under another name."""


@pytest.fixture
def run(supervise):
    """Return a function that runs checks ten steps apart; NaN is logged at the steps of `broken`."""

    def make(
        *strategies, broken=(), steps=60, settings=None, snapshots=None, mode="act",
        allowed=("learning_rate",), control=None, recovery=None, **config,
    ):  # fmt: skip
        kept = snapshots or Kept()
        told = supervise(
            *strategies,
            config={"mode": mode, "check_every": 10, "hyperparameters": {name: {} for name in allowed}, **config},
            plan=RunPlan(1000, keeps_snapshots=True),
            values={"learning_rate": 1.0},
            control=control or Nobody(),
            recovery=recovery or Recovery(settings or RecoverySettings(), kept, why_not=""),
        )
        for step in range(1, steps + 1):
            told.train(step, loss=math.nan if step in broken else 1.0)
            told.supervisor.settle()
        return told, kept

    return make


def test_a_state_is_kept_at_the_begin_and_at_healthy_checks_only(run):
    """Six checks, of which those of steps 20 and 40 found something critical: five states are kept."""
    told, kept = run(RollsBack(unwell=(20, 40)))

    assert kept.happened == ["taken"] * 5
    assert told.supervisor.recovery.taken_at == 60


def test_a_state_that_is_not_finite_is_not_kept(run):
    """The one before it stays the one to return to."""
    kept = Kept()
    told, _ = run(RollsBack(), snapshots=kept, steps=20)
    kept.finite = False
    for step in range(21, 31):
        told.train(step, loss=1.0)
        told.supervisor.settle()

    assert told.supervisor.recovery.taken_at == 20


def test_hook_on_rolled_back(run):
    """It is called once where a loss is NaN: the state of the last healthy check was put back, and the rate is halved."""
    strategy = RollsBack()
    told, kept = run(strategy, broken=(25,), steps=30)

    assert strategy.told == [(25, 20, "rolls-back", "it diverged", 2)]
    assert kept.happened == ["taken"] * 3 + ["restored", "taken"]
    made = [(e.step, e.data["strategy"], e.data["new"], e.data["because"]) for e in told.of("adjustment")]
    assert made == [(25, "steersman", 0.5, "rollback")]
    assert [dict(e.data) for e in told.of("rollback")] == [
        {"to_step": 20, "strategy": "rolls-back", "because": "it diverged", "left": 2}
    ]
    assert [(e.step, e.data["reason"]) for e in told.of("check")] == [
        (10, "scheduled"), (20, "scheduled"), (25, "anomaly"), (30, "scheduled"),
    ]  # fmt: skip


def test_the_next_check_does_not_see_what_was_undone(run):
    """The window of the check after begins at the rollback: it holds no NaN, and is healthy."""
    told, _ = run(RollsBack(), broken=(25,), steps=30)
    after = told.of("check")[-1].data

    assert (after["first_step"], after["nonfinite"], after["healthy"]) == (25, {}, True)


def test_a_rollback_at_the_step_before_a_scheduled_check(run):
    """The scheduled check that follows at once sees one step, which is well, and does not roll back again."""
    strategy = RollsBack()
    told, kept = run(strategy, broken=(29,), steps=30)

    assert [step for step, *_ in strategy.told] == [29]
    assert [(e.step, e.data["reason"], e.data["healthy"]) for e in told.of("check")][-2:] == [
        (29, "anomaly", False), (30, "scheduled", True),
    ]  # fmt: skip
    assert kept.happened[-2:] == ["restored", "taken"]


@pytest.mark.parametrize("mean", [math.nan, 9.0])
def test_a_mean_that_covers_undone_steps_is_left_out(run, mean):
    """A gradient was NaN at step 23; the mean loss of steps 21 to 25 tells nothing of the weights that are back."""
    strategy = RollsBack()
    told, _ = run(strategy, steps=20)
    told.train(23, grad_norm=math.nan)
    for step, loss in ((25, mean), (30, 1.0)):
        told.train(step, loss=loss)
    told.supervisor.settle()

    assert [step for step, *_ in strategy.told] == [23]
    after = told.of("check")[-1].data
    assert (after["loss"], after["healthy"]) == (1.0, True)


def test_a_loss_that_is_nan_again_is_news(run):
    """Logged at each step, the loss of the step after a rollback covers that step alone: NaN there rolls back again."""
    strategy = RollsBack()
    run(strategy, broken=(25, 26), steps=30)

    assert [step for step, *_ in strategy.told] == [25, 26]


def test_two_that_want_it_roll_back_once(run):
    """The second at the same check is told that it was done already."""
    told, kept = run(RollsBack(), Again(), broken=(25,), steps=26)

    assert kept.happened.count("restored") == 1
    assert [(e.data["strategy"], e.data["verdict"]) for e in told.of("proposal") if e.data["action"] == "rollback"] == [
        ("rolls-back", "applied"), ("again", "lost"),
    ]  # fmt: skip


def test_the_factor_of_the_config(run):
    """`recovery.factor` is what the learning rate is multiplied by."""
    told, _ = run(RollsBack(), broken=(25,), settings=RecoverySettings(factor=0.1), steps=26)

    assert [e.data["new"] for e in told.of("adjustment")] == [0.1]


def test_the_cut_waits_for_no_rail_but_the_bounds(run):
    """Neither budget nor the last steps keep the rate up where the weights go back; a bound shortens the cut."""
    rails = {"budget": 0, "last_share": 1.0}
    told, _ = run(RollsBack(), broken=(25,), steps=26, rails=rails, hyperparameters={"learning_rate": {"min": 0.7}})

    assert [e.data["new"] for e in told.of("adjustment")] == [0.7]


def test_a_rate_that_may_not_be_changed_stays(run):
    """Where the config does not name the learning rate the weights go back, and the rate is the user's."""
    told, kept = run(RollsBack(), broken=(25,), steps=26, allowed=())

    assert (kept.happened[-1], told.of("adjustment")) == ("restored", [])


def test_after_the_last_rollback_the_run_stops_with_an_explanation(run):
    """One rollback is allowed: at the second divergence the healthy weights are back, and the run is asked to stop."""
    strategy = RollsBack()
    told, kept = run(strategy, broken=(25, 45), settings=RecoverySettings(max_rollbacks=1), steps=45)

    assert len(strategy.told) == 1
    assert kept.happened.count("restored") == 2
    proposals = [e.data for e in told.of("proposal") if e.data["action"] == "rollback"]
    assert [p["verdict"] for p in proposals] == ["applied", "refused"]
    assert proposals[1]["reason"] == "every rollback is used; the healthy weights are back, and the run stops"
    actions = told.supervisor.actions
    assert actions.stop_because == (
        "rolls-back: it diverged; 1 rollbacks did not help. The weights are those of step 40, the last healthy check"
    )
    assert actions.stops_healthy


def test_rollbacks_used_go_through_a_checkpoint(run):
    """A resumed run has as many left, also where its journal tells of more than its checkpoint."""
    told, _ = run(RollsBack(), broken=(25,), steps=30)
    saved = told.supervisor.save()
    for known, left in ((0, 2), (2, 1)):
        recovery = Recovery(RecoverySettings(), Kept(), used=known)
        run(RollsBack(), recovery=recovery, steps=0)[0].supervisor.decider.restore(saved["decisions"])
        assert recovery.left == left


def test_where_state_is_sharded_the_run_stops_and_says_from_where_to_resume(run, tmp_path):
    """No rollback is made: it is proposed to resume from the newest checkpoint, with the factor."""
    recovery = Recovery(RecoverySettings(), why_not="parameters are sharded", is_sharded=True)
    told, _ = run(RollsBack(), recovery=recovery, steps=20)
    (tmp_path / "checkpoint-20").mkdir()
    told.supervisor.saved(20, str(tmp_path / "checkpoint-20"))
    told.evaluate(20, eval_loss=1.0)
    told.train(21, loss=math.nan)
    told.supervisor.settle()

    advice = f"resume from {tmp_path / 'checkpoint-20'} with a learning-rate factor of 0.5"
    assert told.supervisor.actions.stop_because == f"rolls-back: it diverged; parameters are sharded, so {advice}"
    assert [(e.data["verdict"], e.data["reason"]) for e in told.of("proposal")] == [
        ("refused", f"parameters are sharded; the run stops: {advice}")
    ]


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_a_run_that_may_not_act_only_tells(run, mode):
    """In `observe` and `advise` nothing goes back."""
    told, kept = run(RollsBack(), broken=(25,), steps=26, mode=mode)

    assert "restored" not in kept.happened
    assert [e.data["verdict"] for e in told.of("proposal")] == ["advised"]


def test_after_a_yes_the_weights_go_back(run):
    """In `ask` the rollback and its cut are made at the check that hears the yes."""
    told, kept = run(RollsBack(at=(30,)), mode="ask", control=Recorded({40: Said(approved=(1,))}), steps=40)

    assert [(e.step, e.data["verdict"]) for e in told.of("proposal") if e.data["action"] == "rollback"] == [
        (30, "waiting"), (40, "applied"),
    ]  # fmt: skip
    assert [(e.step, e.data["new"]) for e in told.of("adjustment")] == [(40, 0.5)]


def test_switched_off_nothing_goes_back(run):
    """The off switch holds back rollbacks as it does changes."""
    told, kept = run(RollsBack(), broken=(25,), steps=26, control=Recorded({25: Said(off="a test")}))

    assert ("restored" in kept.happened, told.of("adjustment")) == (False, [])


def test_a_rollback_without_a_snapshot(run):
    """Asked for where none is kept it is refused with the reason."""
    told, _ = run(RollsBack(), broken=(25,), steps=26, recovery=Recovery(RecoverySettings(), why_not="it is off"))

    assert [(e.data["verdict"], e.data["reason"]) for e in told.of("proposal")] == [("refused", "it is off")]


def test_restore_needs_a_snapshot():
    """The policy is asked whether there is one; a caller that does not ask is told."""
    with pytest.raises(RuntimeError, match="no snapshot was taken"):
        Recovery(RecoverySettings()).restore()


def test_the_cut_of_a_rollback_is_released_when_the_run_is_well_again(run):
    """After three healthy checks the halved rate is what it was."""
    told, _ = run(RollsBack(), broken=(25,), steps=60, outcomes={"release_after": 3})

    assert [(e.step, e.data["new"]) for e in told.of("adjustment")] == [(25, 0.5), (50, 1.0)]


def test_a_change_beside_a_rollback_does_not_stack(run):
    """A strategy that wants the rate at 0.8 at the same check loses to the cut of the rollback, which is safer."""

    class Cuts:
        @hookimpl
        def propose_adjustments(self, check):
            return Adjust("learning_rate", scale=0.8) if check.step == 25 else None

    told, _ = run(RollsBack(), Cuts(), broken=(25,), steps=26)

    assert [(e.data["strategy"], e.data["new"]) for e in told.of("adjustment")] == [("steersman", 0.5)]


def test_a_rollback_may_name_its_own_factor(run):
    """The rate goes to a fifth, whatever the config says; with a factor of 1 it stays where it is."""

    @define(eq=False)
    class Names(RollsBack):
        factor: float = 0.2

        @hookimpl
        def propose_adjustments(self, check):
            return Rollback("by the test", self.factor) if check.step == 30 else None

    told, _ = run(Names())
    kept, _ = run(Names(factor=1.0))

    assert [(e.step, e.data["new"]) for e in told.of("adjustment") if e.data["because"] == "rollback"] == [(30, 0.2)]
    assert (len(kept.of("rollback")), kept.of("adjustment")) == (1, [])


@pytest.mark.parametrize(
    ("at", "factor", "said"),
    [
        ((), 1.0, "0 changes; journal: run.jsonl"),
        ((30,), 1.0, "0 changes, 1 rollback; journal: run.jsonl"),
        ((30, 50), 0.5, "2 changes, 2 rollbacks; journal: run.jsonl"),
    ],
)
def test_the_end_tells_of_rollbacks(run, at, factor, said):
    """A rollback is named beside the changes: where it cut nothing, too."""

    @define(eq=False)
    class Names(RollsBack):
        @hookimpl
        def propose_adjustments(self, check):
            return Rollback("by the test", factor) if check.step in at else None

    told, _ = run(Names())
    told.supervisor.end(journal="run.jsonl")

    assert [line for entry in told.of("end") for _, line in lines(entry)][-1] == said


@pytest.mark.parametrize("factor", [0.0, -0.5, 1.5, math.nan])
def test_a_rollback_never_raises_the_learning_rate(factor):
    """Its factor is above 0 and at most 1."""
    with pytest.raises(ValueError, match="factor must be above 0 and at most 1"):
        Rollback("by the test", factor)


def test_snapshots_of_the_best_evaluation_alone(supervise):
    """With `at: best` the states of steps 10 and 30 are kept: those of 20 and 40 are no new best."""
    kept = Kept()
    settings = RecoverySettings(at="best")
    told = supervise(
        RollsBack(),
        config={"mode": "act", "check_every": 10, "use": ["eval-loss"]},
        plan=RunPlan(1000, keeps_snapshots=True),
        recovery=Recovery(settings, kept, why_not=""),
    )
    at = []
    for step, loss in ((10, 3.0), (20, 3.5), (30, 2.0), (40, 2.5)):
        told.train(step, loss=loss)
        told.evaluate(step, eval_loss=loss)
        told.supervisor.settle()
        at.append(told.supervisor.recovery.taken_at)

    assert at == [10, 10, 30, 30]


@pytest.mark.parametrize(("evals", "kept"), [((4.0, 3.5, 2.9), [0, 0, 30]), ((4.0,) * 5 + (3.5,), [0] * 5 + [60])])
def test_the_begin_is_kept_until_an_evaluation_is_better(supervise, evals, kept):
    """One above the first train loss, 3.0, is no better than the begin; from the sixth on only the best counts."""
    told = supervise(
        RollsBack(),
        config={"mode": "act", "check_every": 10, "use": ["eval-loss"]},
        plan=RunPlan(1000, keeps_snapshots=True),
        recovery=Recovery(RecoverySettings(at="best"), Kept(), why_not=""),
    )
    told.supervisor.recovery.take(0)
    at = []
    for step, loss in zip(range(10, 100, 10), evals, strict=False):
        told.train(step, loss=3.0 if step == 10 else 9.0)
        told.evaluate(step, eval_loss=loss)
        told.supervisor.settle()
        at.append(told.supervisor.recovery.taken_at)

    assert at == kept
