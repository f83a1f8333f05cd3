"""What is told of one replay: choices, task metrics at each, stops, and all that was said."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from steersman import Adjust, Stop, hookimpl
from steersman.replaying import replay
from steersman.results.run import LAST, LOWEST_EVAL_LOSS, Choice, ReplayedRun, StopAsked, TaskMetric
from steersman.results.telling import told, unreadable


class StopsAt:
    """Asks for a stop at every check from step 20 on."""

    @hookimpl
    def propose_adjustments(self, check):
        return Stop("no progress") if check.step >= 20 else None


class Halves:
    """Halves the learning rate at each check."""

    @hookimpl
    def propose_adjustments(self):
        return Adjust("learning_rate", scale=0.5, because="each check")


@pytest.fixture
def run(tmp_path):
    """Return a teller of a run with these logs, under the given strategies."""

    def tell(*logs: dict[str, Any], use: tuple[object, ...] = ("eval-loss",), **given: Any) -> ReplayedRun:
        path = tmp_path / "trainer_state.json"
        path.write_text(json.dumps({"log_history": logs, "max_steps": 100}))
        return told(replay(path, {"use": list(use)}), **given)

    return tell


def test_a_real_run_as_its_page_tells_it(runs):
    """LLaMA-Factory's run: what each scorer keeps, the lowest eval loss and the last, as the comparison's page has them."""
    path = runs / "trainer_state" / "llama-factory-01.json"
    of = told(replay(path, {"use": ["multi-metric", "eval-loss"]}))
    assert (of.path, of.format, of.records, of.evaluations, of.last_step) == (str(path), "trainer_state", 257, 12, 1220)
    assert of.choices["multi-metric"].step == 200
    assert of.choices["multi-metric"].value == pytest.approx(0.521031, abs=1e-6)
    assert of.choices["eval-loss"] == Choice(1100, 0.8828257918357849, None, 0.8828257918357849)
    assert of.lowest_eval_loss is not None
    assert of.last_evaluation is not None
    assert (of.lowest_eval_loss.step, round(of.lowest_eval_loss.value or 0, 4)) == (1100, 0.5310)
    assert (of.last_evaluation.step, of.last_evaluation.eval_loss) == (1200, pytest.approx(0.8834, abs=1e-4))
    assert len(of.scores) == 24
    assert {score.train_loss.source for score in of.scores if score.train_loss} == {"recent"}
    assert of.task_metrics == of.unknown_direction == of.errors == of.stops == ()


def test_findings_and_proposals(runs):
    """A masked divergence: its findings by two strategies, with their evidence, and each proposal with its verdict."""
    of = told(replay(runs / "trainer_state" / "16831-project-01.json"))
    assert of.choices == {}
    assert of.lowest_eval_loss is of.last_evaluation is None
    critical = [finding for finding in of.findings if finding.severity == "critical"]
    assert (len(critical), critical[0].step, critical[0].name) == (42, 500, "non-finite-grad-norm")
    assert critical[0].evidence
    assert {(p.hyperparameter, p.change, p.verdict) for p in of.proposals} == {
        ("learning_rate", "x0.5", "advised"),
        ("learning_rate", "x0.5", "refused"),
        (None, "rollback", "advised"),
    }
    assert of.alarms == 42
    assert of.alarms_per_thousand_steps == pytest.approx(42 / 375)


def test_task_metrics_at_each_choice(run):
    """Each chooser's checkpoint with its accuracy and its error rate, and the best of all that were evaluated."""
    of = run(
        {"step": 10, "eval_loss": 1.0, "eval_accuracy": 0.5, "eval_wer": 0.30, "eval_quality": 1.0},
        {"step": 20, "eval_loss": 0.8, "eval_accuracy": 0.7, "eval_wer": 0.10, "eval_quality": 2.0},
        {"step": 30, "eval_loss": 0.9, "eval_accuracy": 0.9, "eval_wer": 0.20, "eval_quality": 3.0},
    )
    assert of.task_metrics == (
        TaskMetric("eval_accuracy", True, 0.9, {"eval-loss": 0.7, LOWEST_EVAL_LOSS: 0.7, LAST: 0.9}),
        TaskMetric("eval_wer", False, 0.1, {"eval-loss": 0.1, LOWEST_EVAL_LOSS: 0.1, LAST: 0.2}),
    )
    assert of.unknown_direction == ("eval_quality",)


def test_a_task_metric_given_by_hand(run):
    """A direction given by hand makes a task metric of a name that says none."""
    logs = ({"step": 10, "eval_loss": 1.0, "eval_quality": 3.0}, {"step": 20, "eval_loss": 2.0, "eval_quality": 1.0})
    of = run(*logs, task_metrics={"quality": False})
    assert of.task_metrics == (
        TaskMetric("eval_quality", False, 1.0, {"eval-loss": 3.0, LOWEST_EVAL_LOSS: 3.0, LAST: 1.0}),
    )
    assert of.unknown_direction == ()


def test_several_sets_of_one_step(run):
    """Evaluations of several sets at one step are one checkpoint; each set's metric is one of its own."""
    of = run(
        {"step": 10, "eval_math_loss": 1.0, "eval_math_accuracy": 0.4},
        {"step": 10, "eval_code_loss": 2.0, "eval_code_accuracy": 0.6},
    )
    assert of.evaluations == 1
    assert [(metric.name, metric.best) for metric in of.task_metrics] == [
        ("eval_math_accuracy", 0.4),
        ("eval_code_accuracy", 0.6),
    ]


def test_a_metric_that_is_not_finite(run):
    """Where the metric of a choice is NaN that chooser has none; one that is never finite is no task metric."""
    of = run(
        {"step": 10, "eval_loss": 1.0, "eval_accuracy": float("nan"), "eval_f1": float("nan")},
        {"step": 20, "eval_loss": 2.0, "eval_accuracy": 0.5, "eval_f1": None},
    )
    assert of.task_metrics == (TaskMetric("eval_accuracy", True, 0.5, {LAST: 0.5}),)


def test_a_baseline_is_nobodys_choice(run):
    """The evaluation before training counts neither as one of the run nor for the best of a metric."""
    of = run({"step": 0, "eval_loss": 0.1, "eval_f1": 0.9}, {"step": 10, "eval_loss": 1.0, "eval_f1": 0.5})
    assert (of.evaluations, of.choices["eval-loss"].step, of.task_metrics[0].best) == (1, 10, 0.5)


@pytest.mark.parametrize(("losses", "given_up"), [((3, 2, 1, 2), 30), ((3, 1, 2, 2), None)])
def test_the_first_stop_counts(run, losses, given_up):
    """A stop ends the run: the first of a strategy counts, with the steps after it and the better one it gives up."""
    of = run(
        *({"step": step, "eval_loss": loss} for step, loss in zip((10, 20, 30, 40), losses, strict=True)),
        {"step": 50, "loss": 1.0},
        use=("eval-loss", StopsAt()),
    )
    assert of.stops == (StopAsked(20, "stops-at", 30, given_up),)
    assert {proposal.change for proposal in of.proposals} == {"stop"}


def test_what_a_mode_refuses_is_told(run):
    """An adjustment in mode advise is told with its change and its verdict; it is no stop."""
    of = run({"step": 10, "loss": 1.0, "learning_rate": 0.1}, {"step": 10, "eval_loss": 1.0}, use=(Halves(),))
    assert of.proposals[0].change == "x0.5"
    assert of.stops == ()
    assert of.choices == {}
    assert of.last_evaluation == Choice(10, None, None, 1.0)


def test_a_run_that_cannot_be_read():
    """Its path and the reason, and nothing else."""
    of = unreadable("a/b.json", ValueError("it is no JSON"))
    assert (of.path, of.error, of.records, of.alarms_per_thousand_steps) == ("a/b.json", "it is no JSON", 0, None)


def test_it_travels_between_processes(runs):
    """What is told pickles, and is called what the tree calls it."""
    of = told(replay(runs / "roberta"), tree_path="runs/roberta")
    assert of.path == "runs/roberta"
    assert of.choices["eval-loss"].path == str(runs / "roberta" / "checkpoint-3000")
    assert pickle.loads(pickle.dumps(of)) == of


def test_a_stop_that_was_carried_out(tmp_path):
    """A supervised run that stopped early saved what was planned after it, not what it logged after it."""
    import torch

    import steersman

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    config = {"mode": "act", "check_every": 10, "use": [StopsAt()], "console": False}
    loop = steersman.attach(optimizer, config, folder=tmp_path, total_steps=100)
    for step in range(1, 101):
        loop.log(step, loss=1.0)
        if loop.should_stop:
            break
    loop.close()
    assert step < 30
    [stop] = told(replay(tmp_path, {**config, "use": [StopsAt()]})).stops
    assert (stop.step, stop.steps_saved) == (20, 80)
