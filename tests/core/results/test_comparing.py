"""What many runs tell together, against counts and means by hand."""

from __future__ import annotations

import json

import pytest

from steersman.results.comparing import Accumulator
from steersman.results.run import (
    LAST,
    LOWEST_EVAL_LOSS,
    Choice,
    FindingMade,
    ProposalMade,
    ReplayedRun,
    StopAsked,
    TaskMetric,
)
from steersman.results.totals import Agreement, AlarmRate, Comparison, Proposals, Stops, Total


def run_with(mine: float, lowest: float, last: float, *, name: str = "eval_accuracy", higher: bool = True):
    """Return a run in which scorer `a` keeps a checkpoint with `mine` of the metric."""
    best = max(mine, lowest, last) if higher else min(mine, lowest, last)
    metric = TaskMetric(name, higher, best, {"a": mine, LOWEST_EVAL_LOSS: lowest, LAST: last})
    return ReplayedRun("r", "trainer_state", choices={"a": Choice(10)}, task_metrics=(metric,))


def total_of(*runs: ReplayedRun) -> Total:
    accumulator = Accumulator()
    for run in runs:
        accumulator.add(run)
    return accumulator.total()


def test_wins_ties_losses_and_the_mean_difference():
    """Three runs by hand: +0.2, 0 and -0.1 against the lowest eval loss, so one of each and a mean of +0.1 / 3."""
    total = total_of(run_with(0.7, 0.5, 0.6), run_with(0.5, 0.5, 0.6), run_with(0.4, 0.5, 0.6))
    lowest, last = total.comparisons
    assert (lowest.chooser, lowest.against, lowest.metric) == ("a", LOWEST_EVAL_LOSS, "eval_accuracy")
    assert (lowest.runs, lowest.wins, lowest.ties, lowest.losses) == (3, 1, 1, 1)
    assert lowest.mean_difference == pytest.approx(0.1 / 3)
    assert lowest.interval == (pytest.approx(-0.1), pytest.approx(0.2))
    assert (last.against, last.wins, last.ties, last.losses) == (LAST, 1, 0, 2)
    assert last.mean_difference == pytest.approx(-0.2 / 3)
    assert lowest.why_no_interval is None


def test_lower_is_better():
    """Where lower is better a positive difference is still the better one: 0.10 against 0.30 of errors is +0.20."""
    lowest = total_of(run_with(0.10, 0.30, 0.05, name="eval_wer", higher=False)).comparisons[0]
    assert not lowest.higher_is_better
    assert (lowest.wins, lowest.losses) == (1, 0)
    assert lowest.mean_difference == pytest.approx(0.20)


def test_no_interval_of_one_run():
    """One run has no interval, and the reason is said."""
    only = total_of(run_with(0.7, 0.5, 0.6)).comparisons[0]
    assert only.interval is None
    assert only.why_no_interval == "1 run has this metric; an interval over runs takes 2"


def test_a_tie_of_a_lower_metric_is_plain_zero():
    """A tie is 0.0 whichever way the metric is better, and never minus zero."""
    only = total_of(run_with(0.3, 0.3, 0.3, name="eval_wer", higher=False)).comparisons[0]
    assert (only.ties, str(only.mean_difference)) == (1, "0.0")


def test_metrics_are_never_mixed():
    """Each metric has comparisons of its own, that of the most runs first."""
    total = total_of(run_with(1, 2, 3, name="eval_f1"), run_with(0.7, 0.5, 0.6), run_with(0.7, 0.5, 0.6))
    assert [(c.metric, c.runs) for c in total.comparisons] == [
        ("eval_accuracy", 2), ("eval_accuracy", 2), ("eval_f1", 1), ("eval_f1", 1),
    ]  # fmt: skip
    assert total.runs_with_task_metric == 3


def test_a_run_that_lacks_a_chooser():
    """A run in which a chooser or what it is held against has no value counts for neither."""
    metric = TaskMetric("eval_f1", True, 0.5, {LAST: 0.5})
    assert total_of(ReplayedRun("r", choices={"a": Choice(1)}, task_metrics=(metric,))).comparisons == ()


def test_how_often_a_choice_is_the_lowest_eval_loss():
    """Two runs of three with an eval loss keep the same checkpoint; one without says nothing."""
    runs = [
        ReplayedRun("r", choices={"a": Choice(10)}, lowest_eval_loss=Choice(step)) if step else ReplayedRun("r")
        for step in (10, 20, 10, 0)
    ]
    assert total_of(*runs).agreements == (Agreement("a", 3, 2),)


def finding(name: str, severity: str, step: int = 1) -> FindingMade:
    return FindingMade(step, "health", name, severity, "")  # type: ignore[arg-type]


def test_alarms_per_thousand_steps():
    """Over 2000 steps of three runs, 3 of one alarm are 1.5 a thousand; accounts are none, and quiet runs count."""
    loud = (finding("spike", "warning"), finding("spike", "critical"), finding("tokens", "info"))
    total = total_of(
        ReplayedRun("r", last_step=500, findings=loud),
        ReplayedRun("r", last_step=500, findings=(finding("spike", "warning"), finding("drop", "critical"))),
        ReplayedRun("r", last_step=1000, findings=(finding("tokens", "info"),)),
    )
    assert total.alarms == (AlarmRate("health", "spike", 3, 1, 2, 1.5), AlarmRate("health", "drop", 1, 1, 1, 0.5))
    assert (total.runs_with_alarm, total.share_with_alarm) == (2, pytest.approx(2 / 3))
    assert (total.alarms_of("health"), total.alarms_per_thousand_steps("health")) == (4, 2.0)
    assert total.alarms_per_thousand_steps("other") == 0.0


def test_runs_without_a_step_have_no_rate():
    """Alarms of runs without a step are counted, and have no rate."""
    total = total_of(ReplayedRun("r", findings=(finding("spike", "warning"),)))
    assert total.alarms == (AlarmRate("health", "spike", 1, 0, 1, None),)
    assert total.alarms_per_thousand_steps("health") is None


def test_runs_that_could_not_be_read():
    """A run that could not be read is counted as failed and as nothing else."""
    total = total_of(ReplayedRun("r", error="it is no JSON"), ReplayedRun("r", records=5, evaluations=2, last_step=10))
    assert (total.runs, total.failed, total.read) == (2, 1, 1)
    assert (total.records, total.evaluations, total.steps) == (5, 2, 10)


def test_proposals_by_verdict_and_what_stops_save():
    """Proposals are counted by strategy and verdict; stops by the steps after them and the better one given up."""
    made = [ProposalMade(1, "s", "learning_rate", "x0.5", verdict, "") for verdict in ("refused", "advised", "refused")]
    total = total_of(
        ReplayedRun("r", proposals=tuple(made), stops=(StopAsked(10, "s", 90, None),)),
        ReplayedRun("r", stops=(StopAsked(10, "s", 40, 30),)),
    )
    assert total.proposals == (Proposals("s", "refused", 2), Proposals("s", "advised", 1))
    assert total.stops == (Stops("s", 2, 130, 1),)


def test_unknown_directions_are_counted():
    """Metrics whose direction nobody said are counted by runs, the most frequent first."""
    total = total_of(ReplayedRun("r", unknown_direction=("b",)), ReplayedRun("r", unknown_direction=("a", "b")))
    assert list(total.unknown_direction.items()) == [("b", 2), ("a", 1)]


def test_nothing_heard():
    """No run at all is a total of nothing, without a share."""
    assert total_of() == Total()
    assert Total().share_with_alarm is None


def test_a_total_as_an_object():
    """It has every field, is plain JSON, and says why an interval is missing."""
    told = json.loads(json.dumps(total_of(run_with(0.7, 0.5, 0.6)).as_object()))
    assert set(told) == {
        "runs", "failed", "records", "evaluations", "steps", "runs_with_task_metric", "comparisons", "agreements",
        "alarms", "runs_with_alarm", "share_with_alarm", "proposals", "stops", "strategy_errors", "failures", "runs_with_notes", "first_note", "unknown_direction",
    }  # fmt: skip
    assert told["comparisons"][0]["interval"] is None
    assert told["comparisons"][0]["why_no_interval"] == "1 run has this metric; an interval over runs takes 2"
    assert isinstance(total_of().comparisons, tuple)
    assert isinstance(total_of(run_with(1, 1, 1)).comparisons[0], Comparison)
