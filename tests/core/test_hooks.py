"""Each hook, through the real supervisor: when it is called, what it is given, and what its answer leads to."""

from __future__ import annotations

import math
from typing import Any

import pytest
from attrs import define, field

from steersman import (
    Adjust,
    Adjustment,
    Average,
    Check,
    Checkpoint,
    Evaluation,
    Finding,
    JournalEntry,
    Record,
    Rollback,
    Run,
    RunPlan,
    Save,
    Score,
    StepGuard,
    Stop,
    TrainLoss,
    Window,
    hookimpl,
    state,
)

ACT = {"mode": "act", "hyperparameters": {"learning_rate": {}}}
PLAN = RunPlan(total_steps=50, evaluates=True)


@define(eq=False)
class Hears:
    """Keeps what its hook was told. What it returns nobody hears."""

    told: list[Any] = field(factory=list)


@define(eq=False)
class Halves:
    """Halve the learning rate at each check."""

    @hookimpl
    def propose_adjustments(self, check: Check) -> Adjust:
        return Adjust("learning_rate", scale=0.5, because="each check")


@define(eq=False)
class EvalLoss:
    """Score by eval loss."""

    @hookimpl
    def score_checkpoint(self, checkpoint: Checkpoint) -> Score:
        return Score(checkpoint.metrics["eval_loss"])


@define(eq=False)
class RemembersItsBegin(Hears):
    begun: int = state(0)

    @hookimpl
    def on_train_begin(self, run: Run) -> str:
        self.begun += 1
        self.told.append(
            (self.begun, run.step, run.mode, run.plan.total_steps, run.replaying, run.history["loss"].last())
        )
        return "no value"


def test_hook_on_train_begin(supervise):
    """It is called once, after a resumed run has given it its state and its records back, and knows the run's plan."""
    fresh, resumed = RemembersItsBegin(), RemembersItsBegin()
    first = supervise(fresh, config={"mode": "act"}, plan=PLAN)
    first.train(10, loss=2.0)
    second = supervise(resumed, config={"mode": "act"}, plan=PLAN, begin=False)
    second.supervisor.begin([Record(10, "train", {"loss": 2.0})], first.supervisor.save(), step=10)
    second.train(20, loss=1.0)

    assert fresh.told == [(1, 0, "act", 50, False, ())]
    assert resumed.told == [(2, 10, "act", 50, False, (2.0,))]
    assert (first.of("error"), second.of("error")) == ([], [])


@define(eq=False)
class LooksAtTheEnd(Hears):
    @hookimpl
    def diagnose(self, check: Check) -> None:
        self.told.append(check.reason)

    @hookimpl
    def on_train_end(self, run: Run) -> None:
        self.told.append((run.step, run.hyperparameters["learning_rate"].value))


def test_hook_on_train_end(supervise):
    """It is called once, after the last check and before the user's own values are put back; the summary follows."""
    looks = LooksAtTheEnd()
    run = supervise(looks, Halves(), config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    run.evaluate(10, eval_loss=2.0)
    run.train(15, loss=2.0)
    run.supervisor.end()

    assert looks.told == ["scheduled", "end", (15, 0.5)]
    assert run.entries[-1].kind == "end"


@define(eq=False)
class Logs(Hears):
    @hookimpl
    def on_log(self, run: Run, log: Record) -> None:
        self.told.append((log.kind, log.step, dict(log.metrics), run.history["loss"].latest))


def test_hook_on_log(supervise):
    """It hears each training log and the summary, never an evaluation, once the metrics are in the history."""
    logs = Logs()
    run = supervise(logs, plan=PLAN)
    run.train(5, loss=2.0)
    run.train(5, loss=1.5, reward=0.25)
    run.evaluate(5, eval_loss=1.0)
    run.supervisor.feed(Record(5, "summary", {"train_runtime": 60.0}))

    assert logs.told == [
        ("train", 5, {"loss": 2.0}, 2.0),
        ("train", 5, {"loss": 1.5, "reward": 0.25}, 1.5),
        ("summary", 5, {"train_runtime": 60.0}, 1.5),
    ]


@define(eq=False)
class Evaluations(Hears):
    @hookimpl
    def on_eval(self, run: Run, evaluation: Evaluation) -> None:
        self.told.append((evaluation.step, dict(evaluation.metrics), [c.step for c in run.checkpoints]))

    @hookimpl
    def score_checkpoint(self, checkpoint: Checkpoint) -> Score:
        self.told.append("scored")
        return Score(checkpoint.metrics["eval_loss"])


def test_hook_on_eval(supervise):
    """It is called once a step, when both sets are there, the first standing in for `eval_loss`, before the scorers."""
    evaluations = Evaluations()
    run = supervise(evaluations, plan=RunPlan(50, evaluates=True, evaluation_sets=2))
    for step, chat in ((10, 2.0), (20, 1.0)):
        run.evaluate(step, eval_chat_loss=chat)
        run.evaluate(step, eval_code_loss=3.0)

    assert evaluations.told == [
        (10, {"eval_chat_loss": 2.0, "eval_code_loss": 3.0, "eval_loss": 2.0}, []),
        "scored",
        (20, {"eval_chat_loss": 1.0, "eval_code_loss": 3.0, "eval_loss": 1.0}, [10]),
        "scored",
    ]


@define(eq=False)
class Epochs(Hears):
    @hookimpl
    def on_epoch_end(self, run: Run, window: Window) -> None:
        self.told.append((run.step, window.first_step, window.last_step, window.mean("loss")))

    @hookimpl
    def diagnose(self, check: Check) -> None:
        self.told.append(check.reason)


def test_hook_on_epoch_end(supervise):
    """It hears the epoch's window at the settled step that reached the whole number, before the check, and no rest.

    The log at step 6 covers 6 steps and that at step 10 covers 4: (6 x 2.0 + 4 x 1.0) / 10 = 1.6. The second epoch of
    10 steps ends in the log at step 24, which covers 14.
    """
    epochs = Epochs()
    run = supervise(epochs, config={"check_every": "epoch"}, plan=PLAN)
    for step, loss in ((6, 2.0), (10, 1.0), (24, 0.5), (28, 0.25)):
        run.train(step, step / 10, loss=loss)
    run.supervisor.end()

    assert epochs.told == [(10, 0, 10, 1.6), "scheduled", (24, 10, 24, 0.5), "scheduled", "end"]


@define(eq=False)
class Answers(Hears):
    """Gives the answer that is kept for a step."""

    answers: dict[int, Score | None] = field(factory=dict)

    @hookimpl
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        self.told.append((checkpoint.step, checkpoint.metrics["eval_loss"], checkpoint.train_loss))
        return self.answers[checkpoint.step]


def test_hook_score_checkpoint(supervise):
    """Each evaluation is scored: the lowest is best, `higher` is negated, `reject` is never best, None asks the next."""
    first = Answers(
        answers={10: Score(3.0, {"a": 1.0, "b": 2.0}), 20: Score.higher(4.0), 30: Score.reject("leaked"), 40: None}
    )
    run = supervise(first, EvalLoss(), plan=PLAN)
    run.train(5, loss=1.5)
    for step in (10, 20, 30, 40):
        run.evaluate(step, eval_loss=2.0)
    told = run.supervisor.end()

    assert first.told == [(step, 2.0, TrainLoss(1.5, "recent", step - 5)) for step in (10, 20, 30, 40)]
    scores = [
        (e.step, e.data["strategy"], e.data["value"], e.data["rejected"]) for e in run.of("score") if e.data["decides"]
    ]
    assert scores == [
        (10, "answers", 3.0, None),
        (20, "answers", -4.0, None),
        (30, "answers", math.inf, "leaked"),
        (40, "eval-loss", 2.0, None),
    ]
    assert dict(run.of("score")[0].data["terms"]) == {"a": 1.0, "b": 2.0}
    assert run.of("score")[0].data["train_loss"] == {"value": 1.5, "source": "recent", "age_steps": 5}
    assert (told["scorer"], told["best"]["step"]) == ("answers", 20)


@define(eq=False)
class Scored(Hears):
    @hookimpl
    def on_checkpoint_scored(self, run: Run, checkpoint: Checkpoint) -> None:
        scores = {name: score.value for name, score in checkpoint.scores.items()}
        best = run.best.step if run.best else None
        self.told.append((checkpoint.step, scores, checkpoint.scorer, [c.step for c in run.checkpoints], best))


def test_hook_on_checkpoint_scored(supervise):
    """It hears the checkpoint with every scorer's score, in config order, when it is ranked already."""
    scored = Scored()
    run = supervise(scored, Answers(answers={10: Score(7.0), 20: None}), EvalLoss(), plan=PLAN)
    run.evaluate(10, eval_loss=2.0)
    run.evaluate(20, eval_loss=1.0)

    assert scored.told == [
        (10, {"answers": 7.0, "eval-loss": 2.0}, "answers", [10], 10),
        (20, {"eval-loss": 1.0}, "eval-loss", [10, 20], 10),
    ]


@define(eq=False)
class Saves(Hears):
    @hookimpl
    def on_checkpoint_saved(self, run: Run, checkpoint: Checkpoint) -> None:
        self.told.append((checkpoint.step, checkpoint.path, dict(checkpoint.metrics)))


def test_hook_on_checkpoint_saved(supervise, tmp_path):
    """Evaluated and saved are different facts: a checkpoint that was not evaluated has a path and no metrics."""
    saves = Saves()
    run = supervise(saves, EvalLoss(), plan=PLAN)
    run.train(5, loss=1.0)
    run.supervisor.saved(5, str(tmp_path))
    run.evaluate(10, eval_loss=2.0)
    run.supervisor.saved(10, str(tmp_path))

    assert saves.told == [(5, str(tmp_path), {}), (10, str(tmp_path), {"eval_loss": 2.0})]
    assert [e.data for e in run.of("checkpoint_saved")] == [
        {"path": str(tmp_path), "evaluated": False},
        {"path": str(tmp_path), "evaluated": True},
    ]


@define(eq=False)
class Finds(Hears):
    """Finds something at each check, of a severity of its own."""

    severity: str = "info"

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> list[Finding]:
        self.told.append((check.reason, check.window and check.window.mean("loss"), check.findings))
        return [Finding("seen", f"step {run.step}", self.severity, {"loss": 1.0}), Finding("seen-too", "again", "info")]

    @hookimpl
    def propose_adjustments(self, check: Check) -> None:
        own = [finding.name for finding in check.findings]
        self.told.append((own, [(name, finding.name) for name, finding in check.all_findings]))


class FindsToo(Finds):
    """The same under another name."""


@pytest.mark.parametrize(("severity", "healthy"), [("info", True), ("warning", False), ("critical", False)])
def test_hook_diagnose(supervise, severity, healthy):
    """What it finds is journaled, makes the check unhealthy above `info`, and is told when everybody proposes.

    There `findings` are a strategy's own and `all_findings` everybody's, in config order. The end asks it too.
    """
    one, two = Finds(severity=severity), FindsToo()
    run = supervise(one, two, config={"check_every": 10}, plan=PLAN)
    run.train(10, loss=2.0)
    run.supervisor.end()

    everybody = [("finds", "seen"), ("finds", "seen-too"), ("finds-too", "seen"), ("finds-too", "seen-too")]
    for heard in (one, two):
        assert heard.told == [("scheduled", 2.0, ()), (["seen", "seen-too"], everybody), ("end", None, ())]
    found = run.of("finding")[0]
    assert (found.step, dict(found.data)) == (
        10,
        {"strategy": "finds", "name": "seen", "severity": severity, "message": "step 10", "evidence": {"loss": 1.0}},
    )
    assert run.of("check")[0].data["healthy"] is healthy


@define(eq=False)
class Proposes(Hears):
    """Returns one of everything it may."""

    @hookimpl
    def propose_adjustments(self, run: Run, check: Check) -> list[object]:
        self.told.append((check.step, check.reason))
        adjust = Adjust("learning_rate", scale=0.5, at_least=0.1, because="too fast")
        return [adjust, Stop("enough"), Save("good"), Rollback("it diverged"), Finding("why", "so", "info")]


def test_hook_propose_adjustments(supervise):
    """Each check but the last asks it; the arbiter rules on all it returns, and stop and save wait for the next step."""
    proposes = Proposes()
    run = supervise(proposes, config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.settle()
    actions = run.supervisor.actions

    assert [(e.data["action"], e.data["verdict"], e.data["because"]) for e in run.of("proposal")] == [
        ("adjust", "applied", "too fast"),
        ("stop", "accepted", "enough"),
        ("save", "accepted", "good"),
        ("rollback", "refused", "it diverged"),
    ]
    assert (actions.stop_because, actions.save_because) == ("proposes: enough", "proposes: good")
    assert run.supervisor.registry.view("learning_rate").value == 0.5
    assert [e.data["name"] for e in run.of("finding")] == ["why"]
    run.supervisor.end()
    assert proposes.told == [(10, "scheduled")]


@define(eq=False)
class Objects(Hears):
    @hookimpl
    def veto_adjustment(self, run: Run, adjustment: Adjust) -> str | None:
        self.told.append((adjustment.hyperparameter, adjustment.change, adjustment.because))
        return "our policy" if run.step == 10 else None


def test_hook_veto_adjustment(supervise, every_hook):
    """It is asked of the change that won, before it is made; its reason keeps the value and is journaled with its name.

    Where it has none the change is made.
    """
    objects = Objects()
    run = supervise(Halves(), every_hook(), objects, config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    for step in (10, 20):
        run.evaluate(step, eval_loss=1.0)
    run.supervisor.settle()

    assert objects.told == [("learning_rate", "x0.5", "each check"), ("learning_rate", "x0.5", "each check")]
    assert [(e.step, e.data["strategy"], e.data["verdict"]) for e in run.of("proposal")] == [
        (10, "halves", "vetoed"),
        (10, "every-hook", "lost"),
        (20, "halves", "applied"),
        (20, "every-hook", "lost"),
    ]
    assert run.of("proposal")[0].data["reason"] == "objects: our policy"
    assert run.supervisor.registry.view("learning_rate").value == 0.5


@define(eq=False)
class Adjusted(Hears):
    @hookimpl
    def on_adjusted(self, run: Run, adjustment: Adjustment) -> None:
        self.told.append((adjustment, run.hyperparameters["learning_rate"].value, len(run.adjustments)))


def test_hook_on_adjusted(supervise):
    """It hears of a change that was made and read back, when the new value is in force; not of one that is advised."""
    adjusted, advised = Adjusted(), Adjusted()
    run = supervise(adjusted, Halves(), config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    other = supervise(advised, Halves(), config={"mode": "advise"}, plan=PLAN, values={"learning_rate": 1.0})
    for supervised in (run, other):
        supervised.evaluate(10, 1.0, eval_loss=1.0)
        supervised.supervisor.settle()

    made = Adjustment(10, 1.0, "learning_rate", "halves", 1.0, 0.5, 0.5, 0.5, "each check")
    assert adjusted.told == [(made, 0.5, 1)]
    assert advised.told == []


@define(eq=False)
class Averages(Hears):
    """Propose the same average twice, and another."""

    @hookimpl
    def propose_averages(self, run: Run) -> list[Average]:
        self.told.append((run.step, dict(run.saved), [c.step for c in run.ranked]))
        return [Average([20, 10]), Average((10, 20), 0.5), Average((20, 30), 1)]


def test_hook_propose_averages(supervise, every_hook, tmp_path):
    """It is asked once, after the last check, knowing what is saved and there; each average is journaled once.

    The first to propose one says its leeway.
    """
    averages = Averages()
    run = supervise(EvalLoss(), averages, every_hook(), plan=PLAN)
    for step, loss in ((10, 2.0), (20, 1.0), (30, 1.5)):
        run.evaluate(step, eval_loss=loss)
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        run.supervisor.saved(step, str(folder))
    folder.rmdir()
    run.supervisor.end()

    there = {step: str(tmp_path / f"checkpoint-{step}") for step in (10, 20)}
    assert averages.told == [(30, there, [20, 30, 10])]
    assert [(e.step, dict(e.data)) for e in run.of("average")] == [
        (30, {"strategy": "averages", "steps": [10, 20], "leeway": 0.0}),
        (30, {"strategy": "averages", "steps": [20, 30], "leeway": 1.0}),
    ]
    kinds = [entry.kind for entry in run.entries]
    assert len(kinds) - 1 - kinds[::-1].index("check") < kinds.index("average") < kinds.index("end")


@define(eq=False)
class Tells(Hears):
    @hookimpl
    def on_journaled(self, run: Run, entry: JournalEntry) -> None:
        self.told.append((entry.kind, entry.step, dict(entry.data)))


@pytest.mark.parametrize(
    ("replaying", "effects", "hears"), [(False, False, True), (True, False, False), (True, True, True)]
)
def test_hook_on_journaled(supervise, replaying, effects, hears):
    """It hears every line of the journal in order; in a replay none, unless effects are asked for."""
    tells = Tells()
    run = supervise(tells, EvalLoss(), plan=PLAN, replaying=replaying, effects=effects)
    run.train(5, loss=1.0)
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.end()

    lines = [(e.kind, e.step, dict(e.data)) for e in run.entries]
    assert {"score", "check", "end"} <= {kind for kind, _, _ in lines}
    assert tells.told == (lines if hears else [])


@define(eq=False)
class Guards(Hears):
    answer: object = None

    @hookimpl
    def guard_steps(self, run: Run) -> object:
        self.told.append((run.step, run.mode))
        return self.answer


@define(eq=False)
class GuardsToo(Guards):
    pass


def test_hook_guard_steps(supervise):
    """It is asked once at the begin; guards come in config order, and what is no StepGuard is an error of its strategy."""
    first, wrong = Guards(answer=StepGuard(clip=2.0)), GuardsToo(answer=1.0)
    run = supervise(Guards(), GuardsToo(answer=StepGuard()), plan=PLAN)
    other = supervise(wrong, first, plan=PLAN)
    other.train(5, loss=1.0)
    other.supervisor.end()

    assert run.supervisor.guards == (("guards-too", StepGuard()),)
    assert other.supervisor.guards == (("guards", StepGuard(clip=2.0)),)
    assert first.told == [(0, "advise")]
    [error] = other.of("error")
    assert error.data["hook"] == "guard_steps"
    assert error.data["error"] == "TypeError: returned float 1.0; expected a StepGuard or None"
