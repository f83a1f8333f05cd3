"""`plateau` beside a schedule: warm-up, the last share of the steps, a scheduler that adapts itself."""

from __future__ import annotations

from steersman_plateau import Plateau

from steersman import Record, RunPlan, Supervisor
from steersman.config import read
from steersman.hyperparameters import Entry, OnPaper
from steersman.journal import Journal
from steersman.loading import load
from steersman.registry import Registry


def told(plan: RunPlan, *losses: float, sets: int = 1, **options):
    """Return the steps of the cuts and the findings of a run of that plan, evaluated every 10 steps on `sets` sets."""
    rails = {"warmup": True, "adaptive_scheduler": True, "cooldown": 0, "last_share": 0}
    config = read(
        {
            "extends": [], "mode": "act", "use": [Plateau(**options)], "check_every": "eval", "rails": rails,
            "hyperparameters": {"learning_rate": {}},
        }
    )  # fmt: skip
    journal, entries = Journal(None), []
    journal.subscribers.append(entries.append)
    registry = Registry([Entry("learning_rate", OnPaper(0.1), "live", safer="down")])
    supervisor = Supervisor(config, load(config, []), plan=plan, registry=registry, journal=journal)
    supervisor.begin()
    for i, loss in enumerate(losses, start=1):
        for number in range(sets):
            supervisor.feed(Record(10 * i, "eval", {f"eval_{number}_loss": loss}))
    supervisor.end()
    cuts = [entry.step for entry in entries if entry.kind == "adjustment"]
    return cuts, [(entry.step, entry.data["name"]) for entry in entries if entry.kind == "finding"]


def test_it_does_not_judge_while_the_rate_warms_up():
    """Steps 10 and 20 lie before step 30: their low losses are no best, and no use of patience."""
    losses = (1.0, 1.1, 3.0, 2.9, 3.0)

    assert told(RunPlan(warmup_steps=30), *losses, patience=0) == ([50], [(50, "plateau")])
    assert told(RunPlan(), *losses, patience=0)[0] == [20, 30, 40, 50]


def test_it_does_not_judge_in_the_last_share_of_the_steps():
    """Of 60 steps the last half begins at step 30, where patience 1 is used up; the last fifth begins at step 48."""
    plan, losses = RunPlan(total_steps=60), [2.0] * 5

    assert told(plan, *losses, patience=1, last_share=0.5)[0] == []
    assert told(plan, *losses, patience=1)[0] == [30]
    assert told(plan, *losses, patience=1, last_share=0)[0] == [30, 50]


def test_beside_a_scheduler_that_adapts_itself_it_says_so_once():
    """Nothing is judged, and one finding tells why."""
    cuts, findings = told(RunPlan(adaptive_scheduler="GreedyLR"), 2.0, 2.0, 2.0, 2.0, patience=0)

    assert (cuts, findings) == ([], [(10, "adaptive-scheduler")])


def test_sets_that_the_plan_does_not_tell_of_are_one_evaluation():
    """Three records of a step close it three times, and patience 1 is used up by step 30 all the same."""
    assert told(RunPlan(evaluation_sets=1), 2.0, 2.0, 2.0, sets=3, patience=1)[0] == [30]
