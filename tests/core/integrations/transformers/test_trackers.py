"""What the trackers of a real Trainer show is what the journal says, at the same steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

import steersman

OURS = ("HealthCheck/", "Score/", "Tokens/")


def shown(folder):
    """Return what TensorBoard shows of ours: (step, value) by tag."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(OURS)]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def written(trainer):
    return (Path(trainer.args.output_dir) / "steersman" / "journal.jsonl").read_text()


def near(expected):
    """Return the same with values to the single precision of an event file."""
    return {tag: [(step, pytest.approx(value, rel=1e-6)) for step, value in points] for tag, points in expected.items()}


def still_open(folder):
    """Return the event files of a folder that this process holds open."""
    held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    return [file for file in folder.glob("events*") if str(file.resolve()) in held]


@pytest.fixture
def logs_to(tmp_path, monkeypatch):
    """Have the Trainer's event files go to a folder, and return it."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tb"))
    return tmp_path / "tb"


def test_the_trainers_own_writer(make_trainer, act, logs_to, told_to_trackers):
    """Where the Trainer reports to TensorBoard, its one event file has every scalar of the journal at its step."""
    trainer = make_trainer(report_to=["tensorboard"])
    steersman.supervise(trainer, act())
    trainer.train()

    told = shown(logs_to)
    assert told == near(told_to_trackers(written(trainer)))
    assert [step for step, _ in told["Score/multi-metric"]] == [4, 8, 12]
    assert {"HealthCheck/healthy", "HealthCheck/learning_rate", "Score/multi-metric/gap"} <= set(told)
    assert told["Tokens/backpropagation/tokens"][-1] == (12, 3 * 32 * 16)
    assert [s for s, _ in told["Tokens/backpropagation/interval_tokens_per_second"]] == [2, 4, 6, 8, 10, 12]
    assert len(list(logs_to.iterdir())) == 1


def test_a_writer_of_our_own(make_trainer, act, logs_to, told_to_trackers):
    """Where it does not, and tensorboard is named, one file in the same folder has them; it is closed afterwards."""
    trainer = make_trainer()
    steersman.supervise(trainer, act(report_to=["tensorboard"]))
    trainer.train()

    assert shown(logs_to) == near(told_to_trackers(written(trainer)))
    assert len(list(logs_to.iterdir())) == 1
    assert still_open(logs_to) == []


def test_where_the_trainer_would_write_by_itself(make_trainer, act, monkeypatch):
    """Without a folder that is named it is one below `runs`, and a run that goes on does so in the newest."""
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    for resume in (None, True):
        trainer = make_trainer(save_steps=8)
        steersman.supervise(trainer, act(report_to=["tensorboard"]))
        trainer.train(resume_from_checkpoint=resume)

    [folder] = (Path(trainer.args.output_dir) / "runs").iterdir()
    assert len(list(folder.glob("events.out.tfevents.*"))) == 2


def test_a_resumed_run_draws_no_zigzag(make_trainer, act, logs_to, told_to_trackers):
    """After 12 steps a run goes on from 4: each tag shows what was up to step 4, then what was made anew, in order."""
    first = make_trainer()
    steersman.supervise(first, act(report_to=["tensorboard"]))
    first.train()
    before = written(first)
    again = make_trainer()
    steersman.supervise(again, act(report_to=["tensorboard"]))
    again.train(resume_from_checkpoint=str(Path(first.args.output_dir) / "checkpoint-4"))

    told = shown(logs_to)
    assert all([s for s, _ in points] == sorted(s for s, _ in points) for points in told.values())
    kept, made_anew = told_to_trackers(before), told_to_trackers(written(again).removeprefix(before))
    expected = {tag: [p for p in points if p[0] <= 4] + made_anew.get(tag, []) for tag, points in kept.items()}
    assert told == near({tag: points for tag, points in expected.items() if points})
    assert {step for step, _ in made_anew["Score/eval-loss"]} == {8, 12}


class Interrupts(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 6:
            raise KeyboardInterrupt


def test_ctrl_c_leaves_a_whole_file(make_trainer, act, logs_to, told_to_trackers):
    """Interrupted after step 6 the file is closed, and has what was journaled until then."""
    trainer = make_trainer(callbacks=[Interrupts()])
    steersman.supervise(trainer, act(report_to=["tensorboard"]))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()

    told = shown(logs_to)
    assert told == near(told_to_trackers(written(trainer)))
    assert [step for step, _ in told["Score/multi-metric"]] == [4]
    assert still_open(logs_to) == []


@pytest.mark.parametrize(
    ("mode", "report_to", "tells"),
    [
        ("advise", "auto", True),
        ("advise", "none", False),
        ("observe", "auto", False),
        ("observe", ["tensorboard"], True),
    ],
)
def test_who_is_told_in_which_mode(make_trainer, journal, logs_to, mode, report_to, tells):
    """`auto` tells the Trainer's trackers but in observe, `none` none, and what is named is told in observe as well."""
    trainer = make_trainer(report_to=["tensorboard"])
    steersman.supervise(trainer, {"mode": mode, "report_to": report_to, "console": False})
    trainer.train()

    assert bool(shown(logs_to)) is tells
    assert [entry.step for entry in journal(trainer, "score") if entry.data["decides"]] == [4, 8, 12]


def test_a_folder_that_cannot_be_written(make_trainer, act, journal, tmp_path, monkeypatch, logs):
    """Where a file lies in the way of the event file, it is said once, and the run goes on to its last step."""
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "taken" / "tb"))
    trainer = make_trainer()
    steersman.supervise(trainer, act(report_to=["tensorboard"]))
    trainer.train()

    assert [log["reporter"] for log in logs if log["log_level"] == "error"] == ["TensorBoard"]
    assert trainer.state.global_step == 12
    assert [entry.step for entry in journal(trainer, "end")] == [12]


def test_what_is_named_and_not_there_is_said_at_train_begin(make_trainer, act, journal):
    """Without an active run of W&B the first line of the journal says so, and the run is supervised all the same."""
    trainer = make_trainer()
    steersman.supervise(trainer, act(report_to=["wandb"]))
    trainer.train()

    said = journal(trainer, "run")[0].data["preflight"]
    assert "report_to names wandb, and no run of it is active: call wandb.init before training" in said
    assert [entry.step for entry in journal(trainer, "adjustment")] == [4]


def test_a_plain_callback_writes_what_is_named(make_trainer, act, logs_to, told_to_trackers):
    """As a plain callback, which does not know the Trainer's trackers, a writer of our own has it all."""
    trainer = make_trainer(callbacks=[steersman.SteersmanCallback(act(report_to=["tensorboard"]))])
    trainer.train()

    assert shown(logs_to) == near(told_to_trackers(written(trainer)))


def last_of_steps(expected):
    """Return what a tracker shows that holds one value of a tag at a step."""
    return {tag: list(dict(points).items()) for tag, points in expected.items()}


def test_wandb(make_trainer, act, offline_wandb, told_to_trackers):
    """In the Trainer's own run of W&B every scalar is there at its step, and the Trainer's rows are as without us."""
    rows = {}
    for supervised in (False, True):
        trainer = make_trainer(name=f"run-{supervised}", report_to=["wandb"])
        if supervised:
            steersman.supervise(trainer, act())
        trainer.train()
        import wandb

        wandb.finish()
        rows[supervised] = offline_wandb()

    theirs = {}
    for supervised, found in rows.items():
        theirs[supervised] = [
            (row["train/global_step"], "train/loss" in row, "eval/loss" in row) for row in found if "train/epoch" in row
        ]
    assert [row["_step"] for row in rows[True] if "train/epoch" in row] == list(range(len(theirs[False])))
    expected = last_of_steps(told_to_trackers(written(trainer)))
    told = {tag: [(row["steersman/step"], row[tag]) for row in rows[True] if tag in row] for tag in expected}
    assert last_of_steps(told) == expected
    assert theirs[False] == theirs[True]
    assert [step for step, *_ in theirs[True]] == [2, 4, 4, 6, 8, 8, 10, 12, 12, 12]


def test_mlflow(make_trainer, act, local_mlflow, told_to_trackers):
    """In the Trainer's own run of MLflow every scalar is there at its step, beside the Trainer's metrics."""
    trainer = make_trainer(report_to=["mlflow"])
    steersman.supervise(trainer, act())
    trainer.train()

    told = local_mlflow()
    expected = told_to_trackers(written(trainer))
    assert len(told["eval_loss"]) == 3
    for tag, points in expected.items():
        group, _, name = tag.partition("/")
        name = name.replace("/", ".") if group == "Score" else name.replace("[0]", "_0_").replace("[1]", "_1_")
        assert sorted({*told[f"{group}/{name}"]}) == sorted({*points}), tag
