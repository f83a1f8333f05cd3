import json
import math

import pytest

from steersman.readers import UnreadableRun, content, read
from steersman.schedule import RunPlan


def test_the_log_of_llama_factory(runs):
    """Steps, the learning rate by its older name, fractional epochs, seconds from a clock, and the length planned."""
    recording = read(runs / "trainer_log" / "llama-factory-01.jsonl")
    first = recording.records[0]
    assert (recording.format, len(recording.records)) == ("trainer_log", 5)
    assert (first.step, first.kind, first.epoch, first.elapsed) == (10, "train", 0.32, 84.0)
    assert first.metrics == {"loss": 3.1538, "learning_rate": 9e-05}
    assert recording.plan == RunPlan(96, evaluates=False)


def test_a_line_without_a_metric(runs):
    """The last line of a newer log tells no metric, so it is no record; that the run has 11 steps is known."""
    recording = read(runs / "trainer_log" / "llama-factory-03.jsonl")
    assert [(r.step, r.elapsed) for r in recording.records] == [(5, 119.0), (10, 238.0)]
    assert recording.plan.total_steps == 11


def test_an_evaluation_in_the_log_of_llama_factory(write_lines, told):
    """An older log writes null for what it does not tell: a line with an eval loss is an evaluation."""
    path = write_lines(
        {"current_steps": 5, "total_steps": 10, "loss": 2.0, "eval_loss": None, "learning_rate": 0.1, "epoch": 0.5},
        {"current_steps": 5, "total_steps": 10, "loss": None, "eval_loss": 1.5, "learning_rate": None, "epoch": 0.5},
    )
    assert told(read(path)) == [(5, "train", {"loss": 2.0, "learning_rate": 0.1}), (5, "eval", {"eval_loss": 1.5})]


HISTORY = [
    {"_step": 0, "_runtime": 2.5, "_timestamp": 1.7e9, "train/loss": 2.0, "train/grad_norm": "NaN", "train/learning_rate": 0.1,
     "train/epoch": 0.5, "train/global_step": 10},
    {"_step": 1, "_runtime": 4.0, "_timestamp": 1.7e9, "eval/loss": 1.5, "eval/math_accuracy": 0.25, "eval/runtime": 1.0,
     "train/epoch": 0.5, "train/global_step": 10, "generations": {"_type": "table-file"}},
    {"_step": 2, "_runtime": 9.0, "_timestamp": 1.7e9, "train/train_runtime": 9.0, "train/train_loss": 1.75,
     "train/total_flos": 5.0, "train/epoch": 1.0, "train/global_step": 20},
]  # fmt: skip
TOLD = [
    (10, "train", {"loss": 2.0, "learning_rate": 0.1}),
    (10, "eval", {"eval_loss": 1.5, "eval_math_accuracy": 0.25, "eval_runtime": 1.0}),
    (20, "summary", {"train_runtime": 9.0, "train_loss": 1.75, "total_flos": 5.0}),
]


def test_a_history_of_wandb(write_lines, told):
    """The Trainer's names come back from W&B's; the step is that of the optimizer; what is no number is named."""
    recording = read(write_lines(*HISTORY))
    train, evaluation, summary = recording.records
    assert math.isnan(train.metrics.pop("grad_norm"))
    assert told(recording) == TOLD
    assert (recording.format, train.epoch, train.elapsed, summary.epoch) == ("wandb", 0.5, 2.5, 1.0)
    assert evaluation.dropped == ("generations",)


def test_a_history_of_wandb_in_one_array(tmp_path, told):
    """The same history as one JSON array, over several lines, tells the same."""
    path = tmp_path / "history.json"
    path.write_text(json.dumps(HISTORY, indent=2))
    recording = read(path)
    recording.records[0].metrics.pop("grad_norm")
    assert told(recording) == TOLD


def test_a_history_without_the_step_of_the_optimizer(write_lines, told):
    """Where nothing else counts steps, those of W&B do, and a row that has none is of the step before it."""
    path = write_lines(
        {"_step": 5, "_runtime": 1, "loss": 2, "val/acc": 0.5}, {"_runtime": 2, "reward": 1.5}, {"_step": 9, "loss": 1}
    )
    assert told(read(path)) == [
        (5, "train", {"loss": 2.0, "reward": 1.5}),
        (5, "eval", {"eval_acc": 0.5}),
        (9, "train", {"loss": 1.0}),
    ]


def test_a_row_that_only_wandb_counts(write_lines, told):
    """Beside steps of the optimizer W&B's own count rows: a row with no other step is of the step before it."""
    path = write_lines(
        {"_step": 0, "_runtime": 1, "train/loss": 2.0, "train/global_step": 100}, {"_step": 1, "_runtime": 2, "reward": 0.5},
        {"_step": 2, "_runtime": 3, "train/loss": 1.0, "train/global_step": 200},
    )  # fmt: skip
    assert told(read(path)) == [(100, "train", {"loss": 2.0, "reward": 0.5}), (200, "train", {"loss": 1.0})]


def test_lightning_counts_from_zero_under_wandb(write_lines):
    """`trainer/global_step` is the step before it is counted."""
    path = write_lines({"_step": 0, "_runtime": 1, "train_loss": 2.0, "trainer/global_step": 49})
    assert read(path).records[0].step == 50


def test_an_epoch_is_the_step_where_nothing_else_is(write_lines, told):
    """A log by epoch, counted from zero, has a record of training and one of evaluation for each epoch finished."""
    path = write_lines(
        {"train_lr": 0.1, "train_loss": 2.0, "test_loss": 1.5, "epoch": 0, "n_parameters": 100},
        {"train_lr": 0.1, "train_loss": 1.0, "test_loss": 1.25, "epoch": 1, "n_parameters": 100},
        name="log.txt",
    )
    assert told(read(path)) == [
        (1, "train", {"learning_rate": 0.1, "loss": 2.0, "n_parameters": 100.0}),
        (1, "eval", {"eval_loss": 1.5}),
        (2, "train", {"learning_rate": 0.1, "loss": 1.0, "n_parameters": 100.0}),
        (2, "eval", {"eval_loss": 1.25}),
    ]


def test_a_test_at_the_end_is_no_evaluation(write_lines, told):
    """A test set that is evaluated once is no part of training, nor is one beside an evaluation set."""
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "test/loss": 1.5}]
    assert [kind for _, kind, _ in told(read(write_lines(*rows)))] == ["train", "train"]
    both = [{"step": s, "val/loss": 1.0, "test/loss": 2.0} for s in (1, 2)]
    assert told(read(write_lines(*both))) == [(1, "eval", {"eval_loss": 1.0}), (2, "eval", {"eval_loss": 1.0})]


def test_messy_values(write_lines):
    """Bare NaN and Infinity are numbers; text, lists and tables are named; null is no value; an empty row is none."""
    path = write_lines(
        '{"step": 1, "loss": NaN, "grad_norm": Infinity, "lr": "-inf"}',
        {"step": 2, "loss": 1, "note": "x", "shape": [1], "config": {"a": 1}, "reward": None},
        {},
        "[1, 2]",
    )
    first, second = read(path).records
    assert math.isnan(first.metrics["loss"])
    assert (first.metrics["grad_norm"], first.metrics["learning_rate"]) == (math.inf, -math.inf)
    assert (second.metrics, second.dropped) == ({"loss": 1.0}, ("note", "shape", "config"))


def test_a_line_that_is_torn(write_lines, told):
    """The last line of a log that is being written, and one that a kill tore, are left out."""
    path = write_lines({"step": 1, "loss": 2.0}, '{"step": 2, "lo{"step": 3, "loss": 3.0}', {"step": 4, "loss": 4.0})
    with path.open("a") as file:
        file.write('{"step": 5, "loss"')
    assert [step for step, *_ in told(read(path))] == [1, 4]


def test_a_resumed_log(write_lines, told):
    """What a run did again after it went back is superseded, the evaluation at the checkpoint is not."""
    path = write_lines(
        {"step": 10, "loss": 5.0}, {"step": 15, "eval_loss": 4.5}, {"step": 20, "loss": 4.0}, {"step": 30, "loss": 3.0},
        {"step": 30, "eval_loss": 3.5}, {"step": 20, "loss": 4.25}, {"step": 30, "loss": 3.25}, {"step": 30, "eval_loss": 3.75},
    )  # fmt: skip
    assert told(read(path)) == [
        (10, "train", {"loss": 5.0}), (15, "eval", {"eval_loss": 4.5}), (20, "train", {"loss": 4.25}),
        (30, "train", {"loss": 3.25}), (30, "eval", {"eval_loss": 3.75}),
    ]  # fmt: skip


def test_a_step_logged_twice(write_lines, told):
    """Rows of one step are one record of each kind, training first; of a metric logged twice the later value counts."""
    path = write_lines(
        {"step": 10, "eval_loss": 1.0}, {"step": 10, "loss": 5.0}, {"step": 10, "reward": 0.5},
        {"step": 10, "eval_loss": 2.0, "eval_f1": 0.5},
    )  # fmt: skip
    assert told(read(path)) == [
        (10, "train", {"loss": 5.0, "reward": 0.5}),
        (10, "eval", {"eval_loss": 2.0, "eval_f1": 0.5}),
    ]


def test_a_late_evaluation(write_lines, told):
    """An evaluation that another job logged late is no restart: nothing is superseded, and the order stays."""
    path = write_lines({"step": 10, "loss": 5.0}, {"step": 20, "loss": 4.0}, {"step": 10, "eval_loss": 4.5})
    assert [step for step, *_ in told(read(path))] == [10, 20, 10]


def test_steps_that_begin_anew_in_each_epoch(write_lines, told):
    """Where the epoch goes on while the step goes back, the steps of the epochs are added up."""
    path = write_lines(*({"epoch": e, "iter": i, "loss": 1.0} for e in (1, 2, 3) for i in (50, 100)))
    assert [step for step, *_ in told(read(path))] == [50, 100, 150, 200, 250, 300]


def test_a_user_s_own_names_come_first(write_lines, told):
    """The `metrics:` of a config are by the log's own names, and tell what is an evaluation."""
    path = write_lines({"step": 1, "train/loss": 2.0, "nll": 1.5, "val/acc": 0.5})
    own = {"nll": "eval_loss", "val/acc": "eval_accuracy"}
    assert told(read(path, own)) == [(1, "train", {"loss": 2.0}), (1, "eval", {"eval_loss": 1.5, "eval_accuracy": 0.5})]


def test_an_array_that_is_cut(tmp_path):
    """An array that is still being written is a sentence."""
    path = tmp_path / "history.json"
    path.write_text('[{"step": 1, "loss": 1.0}, {"step"')
    with pytest.raises(UnreadableRun, match="it is no whole JSON array"):
        read(path)


def test_a_line_of_a_gigabyte(write_lines, monkeypatch):
    """A line longer than any log's is refused when that much of it was read."""
    monkeypatch.setattr(content, "LONGEST_LINE", 1000)
    path = write_lines({"step": 1, "loss": 1.0}, {"step": 2, "loss": 1.0, "text": "x" * 2000})
    with pytest.raises(UnreadableRun, match="line 2 is longer than 64 MB"):
        read(path)


def test_a_step_as_text_or_missing(write_lines, told):
    """`"20"` is the step 20; True and null are none, so the row is of the step before it."""
    rows = ({"step": "10", "loss": 2.0}, {"step": True, "eval_loss": 1.5}, {"step": "20", "loss": 1.0})
    assert told(read(write_lines(*rows, {"step": None, "eval_loss": 0.5}))) == [
        (10, "train", {"loss": 2.0}), (10, "eval", {"eval_loss": 1.5}),
        (20, "train", {"loss": 1.0}), (20, "eval", {"eval_loss": 0.5}),
    ]  # fmt: skip
