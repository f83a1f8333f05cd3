"""Tables of replayed runs: their rows are the runs' own values, and what cannot be made says so."""

from __future__ import annotations

import builtins

import pytest

from steersman import TrainLoss
from steersman.results.frames import frame
from steersman.results.run import Choice, FindingMade, ProposalMade, ReplayedRun, ScoreGiven, TaskMetric

RUN = ReplayedRun(
    "out/a",
    "trainer_state",
    4,
    2,
    200,
    None,
    {"multi-metric": Choice(100, 0.25, None, 1.5)},
    Choice(200, 0.5, "out/a/checkpoint-200", 1.0),
    Choice(200, 0.5, "out/a/checkpoint-200", 1.0),
    (ScoreGiven(100, "multi-metric", 0.25, {"gap": 0.1}, TrainLoss(1.25, "recent", 10)),),
    (FindingMade(200, "trend-health", "loss-rising", "warning", "loss rose", {"loss": 2.0}),),
    (ProposalMade(200, "trend-health", "learning_rate", "x0.5", "advised", "the mode is advise"),),
    (TaskMetric("eval_accuracy", True, 0.9, {"multi-metric": 0.8, "lowest eval loss": 0.9}),),
)
FAILED = ReplayedRun("out/b", error="out/b: it is no JSON")


def test_choices_with_the_metrics_of_the_task():
    """A row for each chooser, whose task metric is that of its own checkpoint."""
    rows = frame((RUN, FAILED)).set_index("kept_by")
    assert list(rows.index) == ["multi-metric", "lowest eval loss", "last evaluation"]
    assert list(rows["step"]) == [100, 200, 200]
    assert list(rows["eval_accuracy"])[:2] == [0.8, 0.9]
    assert rows["eval_accuracy"].isna()["last evaluation"]
    assert set(rows["run"]) == {"out/a"}


def test_a_row_for_every_run_also_one_that_failed():
    """The table of runs names each, with its reason where it could not be read."""
    rows = frame((RUN, FAILED), "runs").set_index("run")
    assert rows.loc["out/b", "error"] == "out/b: it is no JSON"
    assert rows.loc["out/a", "alarms"] == 1
    assert rows.loc["out/a", "alarms_per_thousand_steps"] == 5.0  # one in 200 steps


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("scores", {"step": 100, "value": 0.25, "train_loss": 1.25, "train_loss_age_steps": 10, "term_gap": 0.1}),
        ("findings", {"step": 200, "name": "loss-rising", "severity": "warning", "evidence_loss": 2.0}),
        ("proposals", {"hyperparameter": "learning_rate", "change": "x0.5", "verdict": "advised"}),
    ],
)
def test_a_row_for_each(table, expected):
    """Scores, findings and proposals have a row each, with terms and evidence as columns."""
    [row] = frame((RUN,), table).to_dict("records")
    assert {name: row[name] for name in expected} == expected


def test_another_table():
    """A table that is not there is refused, and those that are there are named."""
    with pytest.raises(ValueError, match="no table 'losses'; there are choices, runs, scores, findings, proposals"):
        frame((RUN,), "losses")


def test_without_pandas(monkeypatch):
    """Where pandas is not installed, it says how to install it."""
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas"):
        frame((RUN,))
