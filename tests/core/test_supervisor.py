from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from steersman import (
    Adjust,
    Check,
    Hyperparameter,
    Record,
    Rollback,
    RunPlan,
    Save,
    Score,
    Stop,
    Supervisor,
    hookimpl,
    state,
)
from steersman.config import read
from steersman.failing import StrategyError
from steersman.hookspecs import HOOKS
from steersman.hyperparameters import Entry, OnPaper
from steersman.journal import Journal, to_json
from steersman.loading import load
from steersman.registry import Registry

ACT = {"mode": "act", "hyperparameters": {"learning_rate": {}}}
PLAN = RunPlan(total_steps=50, evaluates=True)


class Heard:
    """Remembers each call and the step of the run at that time."""

    def __init__(self):
        self.calls = []
        self.checks = []

    def _note(self, hook, run):
        self.calls.append((hook, run.step))

    @hookimpl
    def on_train_begin(self, run):
        self._note("on_train_begin", run)

    @hookimpl
    def on_log(self, run):
        self._note("on_log", run)

    @hookimpl
    def on_eval(self, run):
        self._note("on_eval", run)

    @hookimpl
    def on_epoch_end(self, run):
        self._note("on_epoch_end", run)

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        self._note("score_checkpoint", run)
        return Score(checkpoint.metrics.get("eval_loss", 0.0))

    @hookimpl
    def on_checkpoint_scored(self, run):
        self._note("on_checkpoint_scored", run)

    @hookimpl
    def diagnose(self, run, check):
        self.checks.append(check)
        self._note("diagnose", run)

    @hookimpl
    def propose_adjustments(self, run):
        self._note("propose_adjustments", run)
        return Adjust("learning_rate", scale=0.5, because="each check")

    @hookimpl
    def veto_adjustment(self, run):
        self._note("veto_adjustment", run)

    @hookimpl
    def on_adjusted(self, run):
        self._note("on_adjusted", run)

    @hookimpl
    def on_train_end(self, run):
        self._note("on_train_end", run)


@define(eq=False)
class Proposes:
    """Returns one thing from each check it may propose at."""

    what: Any = None

    @hookimpl
    def propose_adjustments(self, run, check):
        return self.what


class Looks:
    """Keeps the checks it sees."""

    def __init__(self):
        self.checks: list[Check] = []

    @hookimpl
    def diagnose(self, check):
        self.checks.append(check)


class Halves:
    """Halves the learning rate at each check."""

    @hookimpl
    def propose_adjustments(self):
        return Adjust("learning_rate", scale=0.5, because="each check")


class EvalLoss:
    """Scores by eval loss, where there is one."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        loss = checkpoint.metrics.get("eval_loss", math.nan)
        return Score(loss) if math.isfinite(loss) else None


class Highest:
    """Scores the later the better."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score.higher(checkpoint.step)


def test_the_order_of_the_hooks(supervise):
    """Scores are made at once at the evaluation; windows close and the check runs only when the step is settled."""
    heard = Heard()
    run = supervise(heard, config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    run.train(5, 0.5, loss=2.0)
    run.train(10, 1.0, loss=1.9)
    run.evaluate(10, 1.0, eval_loss=2.0)
    run.train(15, 1.5, loss=1.8)
    run.supervisor.end()
    assert heard.calls == [
        ("on_train_begin", 0),
        ("on_log", 5),
        ("on_log", 10),
        ("on_eval", 10),
        ("score_checkpoint", 10),
        ("on_checkpoint_scored", 10),
        ("on_epoch_end", 10),
        ("diagnose", 10),
        ("propose_adjustments", 10),
        ("veto_adjustment", 10),
        ("on_adjusted", 10),
        ("on_log", 15),
        ("diagnose", 15),
        ("on_train_end", 15),
    ]


def test_a_whole_run(supervise, every_hook, forty_steps, forty_steps_calls):
    """Forty steps call every hook as often as counted by hand, without an error, and end with a summary."""
    strategy = every_hook()
    run = supervise(strategy, config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    told = forty_steps(run)
    assert strategy.calls.pop("on_journaled") == len(run.entries)
    assert strategy.calls == forty_steps_calls
    assert run.of("error") == []
    assert (told["best"]["step"], told["changes"], told["evaluations"]) == (40, 4, 4)
    assert run.supervisor.registry.view("learning_rate").value == 1 / 16


@pytest.mark.parametrize("hook", HOOKS)
def test_a_strategy_that_raises(hook, supervise, every_hook, companion, forty_steps, forty_steps_calls):
    """A strategy that raises in any hook is journaled and rests after three times; the run and the others go on."""
    bad, good = every_hook(raises_in=hook), companion()
    run = supervise(bad, good, config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    told = forty_steps(run)
    times = {"on_train_begin": 1, "propose_averages": 1, "on_train_end": 1, "on_rolled_back": 0}.get(hook, 3)
    errors = [entry.data for entry in run.of("error")]
    assert [error["count"] for error in errors] == list(range(1, times + 1))
    assert [error["quarantined"] for error in errors] == [False, False, True][:times]
    for error in errors:
        assert (error["strategy"], error["hook"]) == ("every-hook", hook)
        assert error["error"] == f"RuntimeError: broken {hook}"
        assert error["origin"].startswith("given in Python")
        assert "in _called" in error["trace"]
    assert bad.calls.get(hook, 0) == times
    good.calls.pop("on_journaled")
    assert good.calls == forty_steps_calls
    assert run.supervisor.progress.step == 40
    assert run.of("end") == [run.entries[-1]]
    assert told["best_per_scorer"]["companion"]["step"] == 40
    assert run.supervisor.actions.stop_because is None


@pytest.mark.parametrize("answer", [3, "because", [1.0], {"a": 1}, Score])
@pytest.mark.parametrize("hook", ["score_checkpoint", "diagnose", "propose_adjustments", "veto_adjustment"])
def test_an_answer_of_the_wrong_type(hook, answer, supervise, every_hook, companion, forty_steps, forty_steps_calls):
    """An answer of the wrong type is an error of that strategy, three times, and nothing else changes."""
    if hook == "veto_adjustment" and isinstance(answer, str):
        answer = True  # text is a reason there
    run = supervise(
        every_hook(answers_in=hook, answer=answer),
        good := companion(),
        config=ACT,
        plan=PLAN,
        values={"learning_rate": 1.0},
    )
    forty_steps(run)
    errors = [entry.data for entry in run.of("error")]
    assert [(e["strategy"], e["hook"], e["count"]) for e in errors] == [("every-hook", hook, i) for i in (1, 2, 3)]
    assert all(e["error"].startswith("TypeError: returned ") and "; expected " in e["error"] for e in errors)
    good.calls.pop("on_journaled")
    assert good.calls == forty_steps_calls


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_score_that_is_not_finite(value, supervise, every_hook, companion, forty_steps):
    """An infinite or NaN score is an error of its strategy; the next scorer decides."""
    bad = every_hook(answers_in="score_checkpoint", answer=Score(value))
    run = supervise(bad, companion(), config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    told = forty_steps(run)
    assert [entry.data["error"] for entry in run.of("error")] == [
        f"TypeError: returned a score of {value}; use Score.reject(reason)"
    ] * 3
    assert (told["scorer"], told["best"]["step"]) == ("companion", 40)


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook != "on_rolled_back"])
def test_on_error_raise(hook, supervise, every_hook, forty_steps):
    """With `on_error: raise` the run ends with an error that names strategy and hook, caused by the strategy's own."""
    config = {**ACT, "on_error": "raise"}
    run = supervise(every_hook(raises_in=hook), config=config, plan=PLAN, values={"learning_rate": 1.0}, begin=False)
    with pytest.raises(StrategyError, match=f"every-hook failed in {hook}: broken {hook}") as caught:
        run.supervisor.begin()
        forty_steps(run)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert len(run.of("error")) == 1


def test_on_error_stop(supervise, every_hook):
    """With `on_error: stop` the run is asked to stop at its next step, and told why."""
    run = supervise(every_hook(raises_in="on_log"), config={"on_error": "stop"})
    assert run.supervisor.actions.stop_because is None
    run.train(5, loss=1.0)
    run.supervisor.settle()
    assert run.supervisor.actions.stop_because == (
        "every-hook failed in on_log and its `on_error` is stop: broken on_log"
    )


def test_quarantine_after(supervise, every_hook):
    """`quarantine_after` says how many failures are borne."""
    bad = every_hook(raises_in="on_log")
    run = supervise(bad, config={"quarantine_after": 1})
    run.train(5, loss=1.0)
    run.train(10, loss=1.0)
    assert bad.calls["on_log"] == 1
    assert [entry.data["quarantined"] for entry in run.of("error")] == [True]


def test_a_rollback_without_snapshots(supervise, every_hook, forty_steps):
    """A Rollback is refused with the reason, and nobody is told of one."""
    strategy = every_hook(answers_in="propose_adjustments", answer=Rollback("it diverged"))
    run = supervise(strategy, config=ACT, plan=PLAN)
    forty_steps(run)
    proposals = [entry.data for entry in run.of("proposal")]
    assert [(p["action"], p["verdict"], p["because"]) for p in proposals] == [
        ("rollback", "refused", "it diverged")
    ] * 4
    assert "no strategy in use asks for snapshots" in proposals[0]["reason"]
    assert "on_rolled_back" not in strategy.calls


def test_changes_and_their_journal(supervise):
    """Each change is journaled with verdict, old, new, what was read back and the factor; never a factor twice."""
    run = supervise(Halves(), config=ACT, plan=RunPlan(30, evaluates=True), values={"learning_rate": 8e-6})
    for step in (10, 20, 30):
        run.evaluate(step, eval_loss=1.0)
    run.supervisor.end()
    assert [(e.step, e.data["verdict"]) for e in run.of("proposal")] == [
        (10, "applied"), (20, "applied"), (30, "refused"),
    ]  # fmt: skip
    assert run.of("proposal")[2].data["reason"] == "no step is left that a change could act on"
    changes = [entry.data for entry in run.of("adjustment")]
    assert [(c["old"], c["new"], c["read_back"], c["factor"]) for c in changes] == [
        (8e-6, 4e-6, 4e-6, 0.5),
        (4e-6, 2e-6, 2e-6, 0.25),
    ]
    assert {(c["strategy"], c["because"]) for c in changes} == {("halves", "each check")}
    assert [a.new for a in run.supervisor.run.adjustments] == [4e-6, 2e-6]


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_modes_that_change_nothing(mode, supervise):
    """In observe and advise changes, stops and saves are advised, and nothing happens."""
    what = [Adjust("learning_rate", scale=0.5), Stop("enough"), Save("good")]
    run = supervise(Proposes(what), config={"mode": mode}, plan=PLAN, values={"learning_rate": 1.0})
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.settle()
    assert [(e.data["action"], e.data["verdict"]) for e in run.of("proposal")] == [
        ("adjust", "advised"), ("stop", "advised"), ("save", "advised"),
    ]  # fmt: skip
    actions = run.supervisor.actions
    assert (actions.stop_because, actions.save_because) == (None, None)
    assert run.supervisor.registry.view("learning_rate").value == 1.0


def test_a_write_that_fails(supervise):
    """A hyperparameter whose setter has no effect is given up, with the reason, and refused from then on."""
    run = supervise(Halves(), config=ACT, plan=PLAN)
    stuck = Hyperparameter("learning_rate", lambda: 1.0, lambda value: None)
    run.supervisor.registry.entries["learning_rate"] = Entry("learning_rate", stuck, "live", safer="down")
    for step in (10, 20, 30):
        run.evaluate(step, eval_loss=1.0)
    first, second = [entry.data for entry in run.of("proposal")]
    assert (first["verdict"], first["reason"]) == (
        "failed", "learning_rate is given up: it was set to 0.5 and reads 1.0",
    )  # fmt: skip
    assert (second["verdict"], second["reason"]) == (
        "refused", "learning_rate is inert: it was set to 0.5 and reads 1.0",
    )  # fmt: skip
    assert run.of("adjustment") == []


def test_a_getter_that_raises(supervise):
    """A user's getter that raises at a check costs that proposal only; the run goes on."""
    run = supervise(Halves(), config=ACT, plan=PLAN)
    broken = Hyperparameter("learning_rate", lambda: 1 / 0, lambda value: None)
    run.supervisor.registry.entries["learning_rate"] = Entry("learning_rate", broken, "live")
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.end()
    assert [entry.data["verdict"] for entry in run.of("proposal")] == ["unknown"]


def test_no_scorer_with_an_opinion(supervise):
    """A checkpoint without a score is journaled as such, is never best, and the run goes on."""
    run = supervise(EvalLoss(), plan=PLAN)
    run.evaluate(10, eval_loss=math.nan)
    run.evaluate(20, eval_accuracy=0.5)
    told = run.supervisor.end()
    assert [entry.step for entry in run.of("unscored")] == [10, 20]
    assert (told["scorer"], told["best"], told["evaluations"]) == (None, None, 2)


def test_the_next_scorer_is_asked(supervise):
    """Where the first scorer has no opinion the next one's is *the* score of that checkpoint."""
    run = supervise(EvalLoss(), Highest(), plan=PLAN)
    assert run.evaluate(10, eval_loss=math.nan).scorer == "highest"
    assert run.evaluate(20, eval_loss=1.0).scorer == "eval-loss"


def test_the_baseline(supervise):
    """An evaluation before the first step is scored, is never best, and makes no check."""
    run = supervise(EvalLoss(), looks := Looks(), plan=PLAN)
    run.evaluate(0, eval_loss=0.1)
    run.evaluate(10, eval_loss=1.0)
    told = run.supervisor.end()
    assert [entry.step for entry in run.of("score")] == [0, 10]
    assert told["best"]["step"] == 10
    assert [(check.step, check.reason) for check in looks.checks] == [(10, "scheduled"), (10, "end")]


def test_named_evaluation_sets(supervise):
    """Two named sets are one evaluation, scored once when both are there, the first standing in for `eval_loss`."""
    run = supervise(EvalLoss(), plan=RunPlan(50, evaluates=True, evaluation_sets=2))
    assert run.evaluate(10, eval_chat_loss=2.0) is None
    assert run.evaluate(10, eval_code_loss=3.0).metrics == {
        "eval_chat_loss": 2.0, "eval_code_loss": 3.0, "eval_loss": 2.0,
    }  # fmt: skip
    assert len(run.of("score")) == 1
    assert run.supervisor.history["eval_loss"].last() == (2.0,)


def test_a_set_that_never_arrives(supervise):
    """Where a set is missing the evaluation is scored when its step is settled."""
    run = supervise(EvalLoss(), plan=RunPlan(50, evaluates=True, evaluation_sets=2))
    assert run.evaluate(10, eval_chat_loss=2.0) is None
    assert run.of("score") == []
    run.train(15, loss=1.0)
    assert [(entry.step, entry.data["value"]) for entry in run.of("score")] == [(10, 2.0)]


def test_an_anomaly_is_looked_at_once(supervise):
    """A loss that turns NaN is looked at as soon as its step is settled, and again only after it was finite."""
    run = supervise(looks := Looks(), plan=RunPlan(1000, evaluates=True))
    for step, loss in [(10, 1.0), (20, math.nan), (30, math.nan), (40, 1.0), (50, math.inf)]:
        run.train(step, loss=loss)
    run.supervisor.settle()
    assert [(c.step, c.reason) for c in looks.checks] == [(20, "anomaly"), (50, "anomaly")]
    assert looks.checks[0].window.nonfinite == {"loss": 1}
    assert looks.checks[0].windows == ()
    assert looks.checks[0].may_propose


@pytest.mark.parametrize("log", [{"loss": None}, {"loss": "nan"}, {"note": [1.0]}, {}])
def test_logs_without_a_number(log, supervise):
    """A log without a single number is heard, enters no series, and is journaled with what was dropped."""
    run = supervise(looks := Looks(), plan=PLAN)
    run.supervisor.feed(Record(10, "train", {}, dropped=tuple(log)))
    run.evaluate(20, eval_loss=1.0)
    run.supervisor.settle()
    assert run.of("record")[0].data["dropped"] == tuple(log)
    assert run.supervisor.history.names() == ("eval_loss",)
    assert looks.checks[0].window.means == {"eval_loss": 1.0}


def test_checks_by_steps(supervise):
    """`check_every: 20` closes a window at the first settled step that reached each multiple of 20."""
    run = supervise(looks := Looks(), config={"check_every": 20}, plan=PLAN)
    for step in (8, 16, 24, 32, 40, 48):
        run.train(step, loss=float(step))
    run.supervisor.end()
    windows = [(c.reason, c.window.first_step, c.window.last_step, c.window.is_partial) for c in looks.checks]
    assert windows == [("scheduled", 0, 24, False), ("scheduled", 24, 40, False), ("end", 40, 48, True)]
    assert [c.window.mean("loss") for c in looks.checks] == [16.0, 36.0, 48.0]
    assert [len(c.windows) for c in looks.checks] == [1, 2, 2]


def test_checks_by_epoch(supervise):
    """`check_every: epoch` closes at the settled step that reached the epoch, with the log after its end."""
    run = supervise(looks := Looks(), config={"check_every": "epoch"}, plan=PLAN)
    for step in (4, 8, 12, 16, 20):
        run.train(step, step / 10, loss=1.0)
    run.supervisor.end()
    assert [(c.reason, c.window.last_step) for c in looks.checks if c.window] == [("scheduled", 12), ("scheduled", 20)]


def test_the_last_check_asks_for_findings_only(supervise):
    """After the last step the partial window gives findings and no proposals."""
    heard = Heard()
    run = supervise(heard, config={"check_every": 20}, plan=PLAN)
    run.train(10, loss=1.0)
    run.supervisor.end()
    assert [(c.reason, c.window.is_partial, c.may_propose) for c in heard.checks] == [("end", True, False)]
    assert "propose_adjustments" not in dict(heard.calls)


def test_the_origins_switch(supervise):
    """`logging.epoch_health_check_enabled: false` switches checks off; scores are made as ever."""
    config = {"logging": {"epoch_health_check_enabled": False}}
    run = supervise(heard := Heard(), config=config, plan=PLAN)
    run.train(10, loss=math.nan)
    run.evaluate(10, eval_loss=1.0)
    run.train(20, loss=1.0)
    run.supervisor.end()
    assert [(c.reason, c.window) for c in heard.checks] == [("end", None)]
    assert len(run.of("score")) == 1


def test_the_summary_is_no_log_of_a_window(supervise):
    """The final summary settles the last step and enters no window."""
    run = supervise(looks := Looks(), config={"check_every": 20}, plan=PLAN)
    run.train(10, loss=1.0)
    run.supervisor.feed(Record(10, "summary", {"train_loss": 5.0, "train_runtime": 60.0}, 1.0, 60.0))
    told = run.supervisor.end()
    assert looks.checks[0].window.means == {"loss": 1.0}
    assert run.supervisor.history["train_runtime"].latest == 60.0
    assert told["elapsed"] == 60.0


def test_metrics_that_never_came(supervise):
    """A metric a strategy asked for and that never came is told at the end with the nearest real one."""

    class Misled:
        @hookimpl
        def on_log(self, run):
            assert run.history["gradnorm"].latest is None

    run = supervise(Misled())
    run.train(5, grad_norm=1.0, loss=1.0)
    assert run.supervisor.end()["never_came"] == {"gradnorm": "grad_norm"}


def test_disagreement(supervise, tmp_path):
    """Where the scorer's best and the lowest eval loss differ both are told, and a better one never saved as such."""
    run = supervise(Highest(), EvalLoss(), plan=PLAN)
    for step, loss in [(10, 1.0), (20, 2.0), (30, 3.0)]:
        run.evaluate(step, eval_loss=loss)
    (tmp_path / "checkpoint-20").mkdir()
    run.supervisor.saved(20, str(tmp_path / "checkpoint-20"))
    told = run.supervisor.end()
    assert told["disagree"]
    assert (told["best"]["step"], told["lowest_eval_loss"]["step"], told["best_saved"]["step"]) == (30, 10, 20)
    assert {name: best["step"] for name, best in told["best_per_scorer"].items()} == {"highest": 30, "eval-loss": 10}
    assert [shown["step"] for shown in told["ranking"]] == [20]


def test_replaying_tells_nobody(supervise, every_hook, forty_steps):
    """In replay records are not journaled again, and strategies may know."""
    strategy = every_hook()
    run = supervise(strategy, plan=PLAN, replaying=True)
    forty_steps(run)
    assert run.of("record") == []
    assert run.supervisor.run.replaying


def test_what_a_strategy_may_look_at(supervise):
    """The run shows step, epoch, history, windows, checkpoints before this moment, best, values and changes."""
    seen = []

    class Looks:
        @hookimpl
        def score_checkpoint(self, run, checkpoint):
            seen.append([c.step for c in run.checkpoints])
            return Score(checkpoint.metrics["eval_loss"])

    run = supervise(Looks(), Halves(), config=ACT, plan=PLAN, values={"learning_rate": 1.0, "kl_penalty": None})
    run.train(10, 0.5, loss=2.0)
    run.evaluate(10, 0.5, eval_loss=2.0)
    run.evaluate(20, 1.0, eval_loss=1.0)
    run.supervisor.settle()
    view = run.supervisor.run
    assert seen == [[], [10]]
    assert (view.step, view.epoch, view.elapsed, view.mode, view.replaying) == (20, 1.0, None, "act", False)
    assert view.history["loss"].last() == (2.0,)
    assert [window.last_step for window in view.windows] == [10, 20]
    assert view.best.step == 20
    assert (view.hyperparameters["learning_rate"].value, view.hyperparameters["learning_rate"].factor) == (0.25, 0.25)
    assert view.hyperparameters["kl_penalty"].value is None
    assert view.hyperparameters["no_such"].status == "unsupported"
    assert sorted(view.hyperparameters) == ["kl_penalty", "learning_rate"]
    assert [change.step for change in view.adjustments] == [10, 20]


@define(eq=False)
class Patient:
    """Halves the learning rate at every second check, counting checks in its state."""

    checks: int = state(0)

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(checkpoint.metrics["eval_loss"] + len(run.checkpoints))

    @hookimpl
    def propose_adjustments(self, run, check):
        self.checks += 1
        if self.checks % 2 == 0:
            losses = [window.mean("loss") for window in check.windows]
            return Adjust("learning_rate", scale=0.5, because=f"check {self.checks} after {losses}")


def fed(steps):
    for step in steps:
        yield Record(step, "train", {"loss": 3.0 - step / 50}, step / 16)
        if step % 8 == 0:
            yield Record(step, "eval", {"eval_loss": 2.0 - step / 100}, step / 16)


@pytest.mark.parametrize("stopped_at", [8, 12, 16, 20, 24, 36])
@pytest.mark.parametrize("check_every", ["eval", "epoch", 12])
def test_resumed_equals_straight(supervise, stopped_at, check_every):
    """A run interrupted after a checkpoint and resumed decides, scores and ends as the straight one."""
    config, start = {**ACT, "check_every": check_every}, {"learning_rate": 1.0}
    steps, plan = range(4, 49, 4), RunPlan(60, evaluates=True)
    straight = supervise(Patient(), config=config, plan=plan, values=start)
    first = supervise(Patient(), config=config, plan=plan, values=start)
    for record in fed(steps):
        straight.supervisor.feed(record)
    straight_end = straight.supervisor.end()
    before = [record for record in fed(steps) if record.step <= stopped_at]
    for record in before:
        first.supervisor.feed(record)
    carried = json.loads(json.dumps(first.supervisor.save()))
    second = supervise(Patient(), config=config, plan=plan, values=start, begin=False)
    assert second.supervisor.begin(before, carried, step=stopped_at) == ()
    for record in fed(steps):
        if record.step > stopped_at:
            second.supervisor.feed(record)
    resumed_end = second.supervisor.end()

    def decided(run, *, after=-1):
        kinds = ("score", "check", "finding", "proposal", "adjustment")
        return [(e.kind, e.step, to_json(e.data)) for e in run.entries if e.kind in kinds and e.step > after]

    assert decided(straight)
    assert decided(first) + decided(second) == decided(straight)
    for told in (straight_end, resumed_end):
        told.pop("strategy_seconds")
    assert resumed_end == straight_end
    value = straight.supervisor.registry.view("learning_rate")
    assert second.supervisor.registry.view("learning_rate") == value
    assert value.value < 1.0


def test_resuming_twice_applies_no_factor_twice(supervise):
    """A run that is resumed from the same checkpoint again has the same value, not a smaller one."""
    first = supervise(Halves(), config=ACT, plan=PLAN, values={"learning_rate": 1.0})
    first.evaluate(10, eval_loss=1.0)
    first.supervisor.settle()
    carried = json.loads(json.dumps(first.supervisor.save()))
    for start in (1.0, 0.5):
        again = supervise(Halves(), config=ACT, plan=PLAN, values={"learning_rate": start}, begin=False)
        again.supervisor.begin([Record(10, "eval", {"eval_loss": 1.0})], carried, step=10)
        view = again.supervisor.registry.view("learning_rate")
        assert (view.value, view.factor) == (0.5, 0.5)


def test_the_past_is_not_journaled_again(supervise):
    """The records of a resumed run fill the history and the windows, without a hook, a score or a journal line."""
    strategy = Heard()
    run = supervise(strategy, plan=PLAN, begin=False)
    run.supervisor.begin([Record(10, "train", {"loss": 1.0}), Record(20, "train", {"loss": 2.0})], step=20)
    assert run.entries == []
    assert strategy.calls == [("on_train_begin", 20)]
    assert run.supervisor.history["loss"].last() == (1.0, 2.0)


def test_what_could_not_be_given_back(supervise):
    """State that does not fit and a hyperparameter that is gone are sentences at the begin of a resumed run."""
    run = supervise(Patient(), plan=PLAN, begin=False, config={"mode": "act"})
    saved = {
        "strategies": {"patient": {"checks": "many"}},
        "hyperparameters": {"kl_penalty": {"saved": 0.2, "factor": 1.2}},
    }
    problems = run.supervisor.begin((), saved, step=5)
    assert len(problems) == 2
    assert problems[0].startswith("patient could not take back its state: ")
    assert problems[1].startswith("kl_penalty was changed before the resume")


metrics = st.dictionaries(
    st.sampled_from(
        ["loss", "grad_norm", "learning_rate", "reward", "kl", "eval_loss", "eval_code_loss", "reward_std"]
    ),
    st.floats() | st.floats(-10, 10),
    max_size=5,
)
logs = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["train", "train", "eval", "summary"]), metrics, st.floats(0, 0.6)),
    max_size=40,
)


@given(logs, st.sampled_from(["guarded", "seed"]), st.sampled_from(["auto", "epoch", "eval", 7]))
def test_any_run_comes_to_its_end(fed, preset, check_every):
    """Whatever is logged, NaN and infinity at every place, a run under the default strategies ends without an error."""
    names = ["learning_rate", "kl_penalty", "max_grad_norm", "temperature"]
    config = read({
        "mode": "act", "check_every": check_every, "on_error": "raise",
        "hyperparameters": {name: {"min": 1e-9, "max": 10.0} for name in names},
        "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": preset}}, "token-accounting"],
    })  # fmt: skip
    problems: list[str] = []
    registry = Registry(Entry(name, OnPaper(0.1), "live", safer="down") for name in names)
    journal = Journal(None)
    entries = []
    journal.subscribers.append(entries.append)
    plan = RunPlan(2000, evaluates=True)
    supervisor = Supervisor(config, load(config, problems), plan=plan, registry=registry, journal=journal)
    supervisor.begin()
    steps = itertools.accumulate(gap for gap, _, _, _ in fed)
    epochs = itertools.accumulate(epoch for _, _, _, epoch in fed)
    for step, epoch, (_, kind, values, _) in zip(steps, epochs, fed, strict=True):
        supervisor.feed(Record(step, kind, values, epoch))
    json.dumps(to_json(supervisor.end()), allow_nan=False)
    json.dumps(supervisor.save())
    assert problems == []
    assert entries[-1].kind == "end"
    assert all(1e-9 <= registry.view(name).value <= 10.0 for name in names)


@define(eq=False)
class Scribbles:
    """Writes into everything that it is given."""

    @hookimpl
    def on_eval(self, evaluation):
        evaluation.metrics["eval_loss"] = 0.0

    @hookimpl
    def score_checkpoint(self, checkpoint):
        checkpoint.metrics["eval_loss"] = 0.0

    @hookimpl
    def on_checkpoint_scored(self, checkpoint):
        checkpoint.metrics.clear()
        checkpoint.scores.clear()

    @hookimpl
    def diagnose(self, check):
        check.window.nonfinite["loss"] = 3
        check.window.means.clear()

    @hookimpl
    def propose_adjustments(self, check):
        check.window.means.clear()


def test_what_a_strategy_writes_reaches_nobody(supervise, companion):
    """A strategy that writes into what it is given changes neither what others see nor what is ranked and judged."""
    run = supervise(Scribbles(), companion(), config={"check_every": "eval"})
    run.train(10, loss=2.0)
    checkpoint = run.evaluate(10, eval_loss=1.5)
    run.supervisor.settle()

    assert (checkpoint.scores["companion"].value, run.supervisor.ranking.best().metrics) == (1.5, {"eval_loss": 1.5})
    (check,) = run.of("check")
    assert (check.data["healthy"], check.data["loss"], check.data["nonfinite"]) == (True, 2.0, {})
