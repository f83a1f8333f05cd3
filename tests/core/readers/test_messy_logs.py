"""What real logs hold is a fact: each is read, and replayed by the default strategies without an error."""

import json
import math

import pytest

import steersman
from steersman.readers import read


@pytest.fixture
def replayed(tmp_path):
    """Return a function that replays a trainer state with this history, written as Python writes it, NaN bare."""

    def run(*history, **rest):
        path = tmp_path / "trainer_state.json"
        path.write_text(json.dumps({"best_metric": None, "log_history": list(history), **rest}))
        result = steersman.replay(path)
        assert result.of("error") == ()
        return result

    return run


def scores(result):
    return [(e.step, e.data["value"]) for e in result.of("score") if e.data["strategy"] == "eval-loss"]


def train_losses(result):
    return [e.data["train_loss"] for e in result.of("score") if e.data["strategy"] == "eval-loss"]


def test_an_empty_history(replayed):
    """A state that was saved before anything was logged gives no record and nothing to say."""
    result = replayed()
    assert result.recording.records == ()
    assert result.of("score") == ()


def test_bare_nan_and_infinity(replayed):
    """NaN and infinity are numbers of the log."""
    result = replayed({"step": 1, "loss": math.nan, "grad_norm": math.inf}, {"step": 1, "eval_loss": -math.inf})
    train, evaluation = result.recording.records
    assert math.isnan(train.metrics["loss"])
    assert (train.metrics["grad_norm"], evaluation.metrics["eval_loss"]) == (math.inf, -math.inf)


def test_values_that_are_no_numbers(replayed):
    """None, lists and tables are named as dropped, and make an evaluation of a record whose names are those of one."""
    result = replayed({"step": 1, "loss": None, "rewards": [1, 2], "note": {"a": 1}}, {"step": 2, "eval_loss": None})
    first, second = result.recording.records
    assert (first.metrics, first.dropped) == ({}, ("loss", "rewards", "note"))
    assert (second.kind, second.metrics, second.dropped) == ("eval", {}, ("eval_loss",))


def test_several_sets(replayed):
    """Sets with prefixed names are merged at their step; the first one's loss is the loss of the evaluation."""
    result = replayed(
        {"step": 1, "loss": 3.0},
        {"step": 2, "eval_chat_loss": 2.0, "eval_chat_f1": 0.5}, {"step": 2, "eval_code_loss": 1.0},
        {"step": 4, "eval_chat_loss": 1.5, "eval_chat_f1": 0.75}, {"step": 4, "eval_code_loss": 1.25},
    )  # fmt: skip
    assert scores(result) == [(2, 2.0), (4, 1.5)]
    assert result.recording.plan.evaluation_sets == 2


def test_a_train_loss_before_at_or_after_the_step(replayed):
    """A checkpoint's train loss is the latest one logged before its evaluation, with its age; none where none was."""
    result = replayed(
        {"step": 2, "eval_loss": 3.0}, {"step": 4, "loss": 2.5}, {"step": 4, "eval_loss": 2.0},
        {"step": 6, "eval_loss": 1.5}, {"step": 6, "loss": 1.0},
    )  # fmt: skip
    assert scores(result) == [(2, 3.0), (4, 2.0), (6, 1.5)]
    assert train_losses(result) == [
        None,
        {"value": 2.5, "source": "recent", "age_steps": 0},
        {"value": 2.5, "source": "recent", "age_steps": 2},
    ]


def test_no_train_loss_at_all(replayed):
    """A log of evaluations alone is scored."""
    result = replayed({"step": 2, "eval_loss": 3.0}, {"step": 4, "eval_loss": 2.0})
    assert scores(result) == [(2, 3.0), (4, 2.0)]
    assert train_losses(result) == [None, None]


def test_steps_of_a_state_that_go_back(replayed):
    """A state is the Trainer's own word, from which a resume has cut what it does again: it is taken as it is."""
    history = [{"step": s, "loss": 1.0} for s in (10, 20, 10, 20)]
    assert [r.step for r in replayed(*history).recording.records] == [10, 20, 10, 20]


def test_duplicated_steps(replayed):
    """A step that is logged twice is heard twice, as live; its evaluations are one."""
    result = replayed(
        {"step": 2, "loss": 2.0}, {"step": 2, "loss": 2.0}, {"step": 2, "eval_loss": 3.0}, {"step": 2, "eval_loss": 2.5},
        {"step": 4, "loss": 1.0},
    )  # fmt: skip
    assert [r.kind for r in result.recording.records] == ["train", "train", "eval", "eval", "train"]
    assert {step for step, _ in scores(result)} == {2}


def test_epochs_and_steps_that_are_floats(replayed):
    """A step of 5.0 is step 5, and an epoch is fractional."""
    [record] = replayed({"step": 5.0, "epoch": 0.3125, "loss": 1}).recording.records
    assert (record.step, record.epoch, record.metrics) == (5, 0.3125, {"loss": 1.0})


def test_a_log_and_the_state_of_one_run_say_the_same(runs, tmp_path):
    """The history of a state as JSON lines, as a table and as a W&B history has the same scores and findings."""
    state = read(runs / "trainer_state" / "llama-factory-01.json")
    lines, wandb = tmp_path / "log.jsonl", tmp_path / "history.jsonl"
    rows = [{"step": r.step, "epoch": r.epoch, **r.metrics} for r in state.records]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = tmp_path / "log.csv"
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [",".join(str(row.get(name, "")) for name in names) for row in rows]
    table.write_text("\n".join([",".join(names), *cells]) + "\n")
    with wandb.open("w") as file:
        for i, r in enumerate(state.records):
            spelt = {
                n.replace("eval_", "eval/", 1) if n.startswith("eval_") else f"train/{n}": v
                for n, v in r.metrics.items()
            }
            row = {"_step": i, "_timestamp": 1.7e9 + i, "train/epoch": r.epoch, "train/global_step": r.step, **spelt}
            file.write(json.dumps(row) + "\n")

    told = [(r.step, r.kind, r.epoch, dict(r.metrics)) for r in state.records]
    expected = steersman.replay(runs / "trainer_state" / "llama-factory-01.json")
    for path in (lines, table, wandb):
        recording = read(path)
        assert [(r.step, r.kind, r.epoch, dict(r.metrics)) for r in recording.records] == told
        result = steersman.replay(path)
        for kind in ("score", "finding"):
            assert [(e.step, e.data) for e in result.of(kind)] == [(e.step, e.data) for e in expected.of(kind)]
