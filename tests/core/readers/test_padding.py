"""Tables in which an empty cell is NaN, as pandas writes them, and NaN that was logged."""

import json
import math

import pytest

import steersman
from steersman.readers import read

NAN = math.nan
COLUMNS = ("_step", "_runtime", "train/global_step", "train/loss", "train/learning_rate", "eval/loss", "eval/acc")
ROWS = (
    (0, 1.0, 10, 2.0, 1e-3, NAN, NAN),
    (1, 2.0, 10, NAN, NAN, 0.9, 0.25),
    (2, 3.0, 20, 1.0, 1e-3, NAN, NAN),
    (3, 4.0, 20, NAN, NAN, 0.7, 0.5),
    (4, 5.0, 20, NAN, NAN, 0.7, 0.5),
)
EXPECTED = [
    (10, "train", {"loss": 2.0, "learning_rate": 1e-3}),
    (10, "eval", {"eval_loss": 0.9, "eval_acc": 0.25}),
    (20, "train", {"loss": 1.0, "learning_rate": 1e-3}),
    (20, "eval", {"eval_loss": 0.7, "eval_acc": 0.5}),
]


@pytest.fixture
def write(tmp_path):
    """Return a function that writes rows in one of three shapes, with every empty cell NaN."""

    def written(shape, rows=ROWS, columns=COLUMNS):
        path = tmp_path / f"history.{shape}"
        objects = [dict(zip(columns, row, strict=True)) for row in rows]
        if shape == "json":
            path.write_text(json.dumps(objects))
        elif shape == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in objects))
        else:
            lines = [columns, *([("NaN" if v != v else str(v)) for v in row] for row in rows)]
            path.write_text("".join(",".join(line) + "\n" for line in lines))
        return path

    return written


@pytest.mark.parametrize("shape", ["json", "jsonl", "csv"])
def test_a_padded_history_holds_what_was_logged(write, told, shape):
    """Each stage has the rows that were logged of it, and no loss is NaN."""
    path = write(shape)
    assert told(read(path)) == EXPECTED
    result = steersman.replay(path)
    assert result.told.lowest_eval_loss.step == 20
    assert result.told.lowest_eval_loss.eval_loss == 0.7
    assert not [finding for finding in result.findings if finding.severity != "info"]


@pytest.mark.parametrize("shape", ["json", "jsonl", "csv"])
def test_a_loss_that_was_nan_stays(write, shape):
    """Beside a finite learning rate of its stage a NaN was logged."""
    rows = [*ROWS, (5, 6.0, 30, NAN, 1e-3, NAN, NAN), (6, 7.0, 30, NAN, NAN, 0.8, 0.5)]
    recording = read(write(shape, rows))
    train, evaluation = recording.records[-2:]
    assert (train.step, train.kind, math.isnan(train.metrics["loss"])) == (30, "train", True)
    assert dict(evaluation.metrics) == {"eval_loss": 0.8, "eval_acc": 0.5}


@pytest.mark.parametrize("shape", ["json", "jsonl", "csv"])
def test_an_evaluation_that_turned_nan_for_good_is_one(write, shape):
    """What never has a value again is no padding: the evaluation diverged."""
    rows = [(1, 2.0, 1.5), (2, 1.0, NAN), (3, 0.5, NAN)]
    recording = read(write(shape, rows, ("step", "train_loss", "val_loss")))
    losses = [record.metrics["eval_loss"] for record in recording.records if record.kind == "eval"]
    assert losses[0] == 1.5
    assert len(losses) == 3
    assert all(map(math.isnan, losses[1:]))


@pytest.mark.parametrize("shape", ["json", "jsonl", "csv"])
def test_an_evaluation_every_few_rows(write, told, shape):
    """The training is in every row, the evaluation in every second."""
    rows = [(1, 2.0, NAN), (2, 1.0, 1.5), (3, 0.5, NAN)]
    recording = read(write(shape, rows, ("step", "train_loss", "val_loss")))
    assert told(recording) == [
        (1, "train", {"loss": 2.0}),
        (2, "train", {"loss": 1.0}), (2, "eval", {"eval_loss": 1.5}),
        (3, "train", {"loss": 0.5}),
    ]  # fmt: skip


def test_the_summary_of_a_padded_history(write, told):
    """The figures of the end are NaN in every row but the last, which is the summary."""
    columns = ("_step", "_runtime", "train/global_step", "train/loss", "train/train_runtime", "train/train_loss")
    rows = [(0, 1.0, 10, 2.0, NAN, NAN), (1, 2.0, 20, 1.0, NAN, NAN), (2, 3.0, 20, NAN, 60.0, 1.5)]
    assert told(read(write("json", rows, columns))) == [
        (10, "train", {"loss": 2.0}),
        (20, "train", {"loss": 1.0}),
        (20, "summary", {"train_runtime": 60.0, "train_loss": 1.5}),
    ]


def test_a_row_that_is_all_nan_is_of_the_training(write):
    """Where only the loss was logged and it was NaN, the row of a padded history is NaN throughout: it diverged."""
    columns = ("_step", "_runtime", "train/loss", "eval/loss")
    rows = [(1, 1.0, 2.0, NAN), (2, 1.5, NAN, 1.0), (3, 2.0, NAN, NAN)]
    records = read(write("json", rows, columns)).records
    assert [(r.step, r.kind) for r in records] == [(1, "train"), (2, "eval"), (3, "train")]
    assert math.isnan(records[-1].metrics["loss"])


def test_a_single_column_is_never_padding(write):
    """A table of losses alone has nothing that tells absence: NaN is a loss."""
    records = read(write("csv", [(1, 2.0), (2, NAN), (3, 1.0)], ("step", "loss"))).records
    assert [record.step for record in records] == [1, 2, 3]
    assert math.isnan(records[1].metrics["loss"])


def test_nan_takes_no_values_place(write_lines):
    """Of two rows of one step and stage the finite value stays."""
    records = read(write_lines({"step": 1, "loss": 2.0, "lr": 1.0}, {"step": 1, "loss": NAN, "lr": 1.0})).records
    assert [dict(record.metrics) for record in records] == [{"loss": 2.0, "learning_rate": 1.0}]


@pytest.mark.parametrize("shape", ["json", "jsonl", "csv"])
def test_a_learning_rate_is_never_nan(write, told, shape):
    """A row in which it is, with all of the training, is empty: here the last one, which only told the progress."""
    columns = ("current_steps", "total_steps", "loss", "lr", "percentage")
    rows = [(5, 11, 2.0, 0.5, 45.0), (10, 11, 1.0, 0.25, 90.0), (11, 11, NAN, NAN, 100.0)]
    assert told(read(write(shape, rows, columns))) == [
        (5, "train", {"loss": 2.0, "learning_rate": 0.5}),
        (10, "train", {"loss": 1.0, "learning_rate": 0.25}),
    ]


@pytest.mark.parametrize("shape", ["json", "jsonl", "csv"])
def test_what_is_logged_apart_is_absent(write, told, shape):
    """The loss and the use of the GPU are of one stage and never in one row; the loss is NaN where it was logged so."""
    columns = ("step", "train/loss", "train/norm", "train/gpu", "eval/loss")
    rows = [
        (1, 2.0, 0.5, NAN, NAN), (2, NAN, NAN, 0.75, NAN), (3, NAN, NAN, NAN, 1.5), (4, NAN, 0.25, NAN, NAN),
    ]  # fmt: skip
    found = told(read(write(shape, rows, columns)))
    assert found[:3] == [
        (1, "train", {"loss": 2.0, "norm": 0.5}), (2, "train", {"gpu": 0.75}), (3, "eval", {"eval_loss": 1.5}),
    ]  # fmt: skip
    assert [(step, kind, list(metrics)) for step, kind, metrics in found[3:]] == [(4, "train", ["loss", "norm"])]
    assert math.isnan(found[3][2]["loss"])


def test_a_loss_that_was_nan_from_the_first_step_stays(write):
    """It never had a value, so nothing tells that it is logged apart."""
    columns = ("_step", "_runtime", "train/loss", "train/learning_rate", "eval/loss")
    rows = [(1, 1.0, NAN, 0.5, NAN), (2, 1.5, NAN, NAN, 1.0), (3, 2.0, NAN, 0.5, NAN)]
    records = read(write("json", rows, columns)).records
    assert [(r.step, r.kind) for r in records] == [(1, "train"), (2, "eval"), (3, "train")]
    assert all(math.isnan(r.metrics["loss"]) for r in records if r.kind == "train")
