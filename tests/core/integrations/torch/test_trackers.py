"""Trackers beside a loop of one's own: what is named is told, and the user's own logging is left alone."""

from __future__ import annotations

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import steersman

USE = ["multi-metric", "eval-loss", "trend-health"]
CONFIG = {"extends": "no-rails", "mode": "act", "use": USE, "hyperparameters": {"learning_rate": {}}, "console": False}


def train(folder, steps=range(1, 13), each=lambda step, loss: None, saved=None, **settings):
    """Train a linear model, with a log every two steps and an evaluation every four; return the state at step 4."""
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    kept = None
    with steersman.attach(optimizer, CONFIG | settings, folder=folder, total_steps=12, eval_every=4) as loop:
        if saved is not None:
            loop.load_state_dict(saved)
        for step in steps:
            loss = model(torch.ones(8, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 2 == 0:
                loop.log(step, loss=loss)
            if step % 4 == 0:
                loop.evaluate(step, loss=loss)
            if step == 4:
                kept = loop.state_dict()
            each(step, float(loss.detach()))
    return kept


def shown(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(e.step, pytest.approx(e.value, rel=1e-6)) for e in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def written(folder):
    return (folder / "steersman" / "journal.jsonl").read_text()


def test_nothing_is_told_but_what_is_named(tmp_path):
    """By default a loop of one's own leaves no event file."""
    train(tmp_path)

    assert list(tmp_path.rglob("events*")) == []


def test_an_event_file_in_the_run_folder(tmp_path, told_to_trackers):
    """Where tensorboard is named, the run folder has one event file with all that the journal says."""
    train(tmp_path, report_to=["tensorboard"])

    told = shown(tmp_path)
    assert told_to_trackers(written(tmp_path)) == told
    assert [step for step, _ in told["Score/multi-metric"]] == [4, 8, 12]
    assert len(list(tmp_path.glob("events*"))) == 1


def test_an_exception_closes_the_file(tmp_path, told_to_trackers):
    """An error in the loop after step 6 leaves what was journaled until then."""

    def fails(step, loss):
        if step == 6:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(tmp_path, each=fails, report_to=["tensorboard"])

    assert told_to_trackers(written(tmp_path)) == shown(tmp_path)
    assert [step for step, _ in shown(tmp_path)["Score/eval-loss"]] == [4]


def test_a_resumed_loop_supersedes_what_it_makes_anew(tmp_path):
    """After twelve steps a run goes on from step 4: the scores are shown once, at 4, 8 and 12."""
    saved = train(tmp_path, report_to=["tensorboard"])
    train(tmp_path, range(5, 13), saved=saved, report_to=["tensorboard"])

    assert [step for step, _ in shown(tmp_path)["Score/multi-metric"]] == [4, 8, 12]
    assert len(list(tmp_path.glob("events*"))) == 2


def test_wandb_beside_steps_of_the_users_own(tmp_path, offline_wandb, told_to_trackers):
    """A loop that logs with a step of its own at each step loses no row, and has every scalar of ours at its step."""
    wandb = pytest.importorskip("wandb")
    with wandb.init(project="a-test") as run:
        train(tmp_path, each=lambda step, loss: run.log({"mine": loss}, step=step), report_to=["wandb"])

    rows = offline_wandb()
    assert [row["_step"] for row in rows if "mine" in row] == list(range(1, 13))
    expected = {tag: dict(points) for tag, points in told_to_trackers(written(tmp_path)).items()}
    assert {tag: {r["steersman/step"]: r[tag] for r in rows if tag in r} for tag in expected} == expected


def test_mlflow(tmp_path, local_mlflow, told_to_trackers):
    """The active run of the process has every scalar at its step."""
    mlflow = pytest.importorskip("mlflow")
    with mlflow.start_run() as run:
        train(tmp_path, report_to=["mlflow"])

    told = local_mlflow(run.info.run_id)
    points = told_to_trackers(written(tmp_path))
    assert {*told["Score/eval-loss"]} == {*points["Score/eval-loss"]}
    assert {*told["HealthCheck/healthy"]} == {*points["HealthCheck/healthy"]}


TWO = """
import steersman
dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
config = {"report_to": ["tensorboard"], "console": False}
with steersman.attach(optimizer, config, folder=out / "run", total_steps=8, eval_every=4) as loop:
    for step in range(1, 9):
        loss = model(torch.ones(8, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loop.log(step, loss=loss)
        if step % 4 == 0:
            loop.evaluate(step, loss=loss)
dist.barrier()
told["files"] = len(list((out / "run").glob("events*")))
"""


@pytest.mark.slow
def test_on_two_ranks_the_first_alone_writes(on_two_ranks, tmp_path):
    """Two ranks leave one event file, with the scores of steps 4 and 8 once each."""
    assert on_two_ranks(TWO) == [{"files": 1}, {"files": 1}]
    assert [step for step, _ in shown(tmp_path / "run")["Score/eval-loss"]] == [4, 8]
