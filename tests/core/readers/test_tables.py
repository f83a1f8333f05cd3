import math

import pytest

from steersman.readers import UnreadableRun, content, read
from steersman.schedule import RunPlan


def test_a_table_of_lightning(runs, told):
    """Steps count from zero there; a second validation of one step is the same; epochs of 100 steps are seen."""
    recording = read(runs / "lightning" / "pytorch-lightning-01.csv")
    assert (recording.format, recording.plan) == ("lightning", RunPlan(500, evaluates=True))
    assert [(r.step, r.kind, r.epoch, r.metrics["eval_loss"]) for r in recording.records] == [
        (100, "eval", 1.0, 103302800.0), (200, "eval", 2.0, 20891508.0), (300, "eval", 3.0, 18388618.0),
        (400, "eval", 4.0, 18161414.0), (500, "eval", 5.0, 18138912.0),
    ]  # fmt: skip
    assert recording.records[0].metrics["eval_comparison/tp"] == 1.0
    assert recording.records[0].metrics["eval_pl/valid_acc"] == 0.5098039507865906


def test_rows_of_lightning_with_empty_cells(write_table, told):
    """Train and validation have rows of their own; rates, losses of a step and of an epoch have their names."""
    path = write_table(
        "epoch,lr-AdamW,step,train_loss_epoch,train_loss_step,val_acc,val_loss",
        "0,0.1,4,,2.0,,", "0,,9,,,0.5,1.5", "0,,9,1.75,,,", "1,,14,,nan,,",
    )  # fmt: skip
    recording = read(path)
    assert math.isnan(recording.records[-1].metrics.pop("loss"))
    assert told(recording) == [
        (5, "train", {"learning_rate": 0.1, "loss": 2.0}),
        (10, "train", {"loss_epoch": 1.75}),
        (10, "eval", {"eval_acc": 0.5, "eval_loss": 1.5}),
        (15, "train", {}),
    ]
    assert [record.epoch for record in recording.records] == [0.0, 0.0, 0.0, 1.0]


def test_epochs_of_lightning_that_are_not_even(write_table):
    """Where the last logs of the epochs tell no one length, the epoch is the one the log was in."""
    path = write_table("epoch,step,train_loss", "0,49,3", "0,99,2", "1,149,1", "1,199,1", "1,249,1", "2,299,1")
    assert [record.epoch for record in read(path).records] == [0.0, 0.0, 1.0, 1.0, 1.0, 2.0]


ULTRALYTICS = [
    "                  epoch,      train/box_loss,   train/cls_loss,   metrics/mAP50(B),   val/box_loss,   val/cls_loss,   lr/pg0,   lr/pg1",
    "                      0,                 1.5,              2.5,               0.25,            1.0,            1.25,    0.01,     0.01",
    "                      1,                1.25,              2.0,                0.5,           0.75,            1.0,     0.02,     0.02",
]  # fmt: skip


def test_results_of_ultralytics(write_table, told):
    """Padded names of older versions; an epoch finished is the step; losses are the sums of their parts."""
    recording = read(write_table(*ULTRALYTICS, name="results.csv"))
    assert recording.format == "ultralytics"
    assert told(recording) == [
        (1, "train", {"loss": 4.0, "box_loss": 1.5, "cls_loss": 2.5, "learning_rate": 0.01, "lr/pg1": 0.01}),
        (1, "eval", {"eval_loss": 2.25, "metrics/mAP50(B)": 0.25, "eval_box_loss": 1.0, "eval_cls_loss": 1.25}),
        (2, "train", {"loss": 3.25, "box_loss": 1.25, "cls_loss": 2.0, "learning_rate": 0.02, "lr/pg1": 0.02}),
        (2, "eval", {"eval_loss": 1.75, "metrics/mAP50(B)": 0.5, "eval_box_loss": 0.75, "eval_cls_loss": 1.0}),
    ]
    assert recording.plan == RunPlan(2, evaluates=True)


def test_results_of_a_newer_ultralytics(write_table, told):
    """Newer versions count epochs from one, tell the time of the training, and a classifier has one loss."""
    path = write_table(
        "epoch,time,train/loss,metrics/accuracy_top1,val/loss", "1,7.5,2.0,0.5,1.5", "2,15,1.0,0.75,1.25"
    )
    recording = read(path)
    assert told(recording)[:2] == [
        (1, "train", {"loss": 2.0}),
        (1, "eval", {"metrics/accuracy_top1": 0.5, "eval_loss": 1.5}),
    ]
    assert [record.elapsed for record in recording.records] == [7.5, 7.5, 15.0, 15.0]


def test_a_history_of_wandb_as_a_table(write_table, told):
    """A table that pandas wrote: the column of its index, empty cells, text."""
    path = write_table(
        ",_step,_runtime,train/loss,eval/loss,train/global_step,note",
        "0,0,1.5,2.0,,10,", "1,1,2.5,,1.75,10,", "2,2,3.5,1.0,,20,a",
    )  # fmt: skip
    recording = read(path)
    assert recording.format == "wandb"
    assert told(recording) == [
        (10, "train", {"loss": 2.0}),
        (10, "eval", {"eval_loss": 1.75}),
        (20, "train", {"loss": 1.0}),
    ]
    assert recording.records[-1].dropped == ("note",)
    assert [record.elapsed for record in recording.records] == [1.5, 2.5, 3.5]


def test_a_plain_table(write_table, told):
    """A table of one's own: quoted cells, ragged rows, a blank line, and a last row that is cut."""
    path = write_table('step,"loss",val_loss', '1,"2.0",', "", "2,1.0,1.5,9,9", "3")
    with path.open("a") as file:
        file.write("4,0.5")
    recording = read(path)
    assert recording.format == "csv"
    assert told(recording) == [
        (1, "train", {"loss": 2.0}),
        (2, "train", {"loss": 1.0}),
        (2, "eval", {"eval_loss": 1.5}),
    ]


def test_windows_line_ends_and_a_mark_of_the_encoding(tmp_path, told):
    """A table from a spreadsheet is read as any other."""
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbfstep,loss\r\n1,2.0\r\n2,1.0\r\n")
    assert told(read(path)) == [(1, "train", {"loss": 2.0}), (2, "train", {"loss": 1.0})]


def test_a_resumed_table(write_table, told):
    """What a restart did again is superseded."""
    path = write_table("step,loss", "1,4.0", "2,3.0", "3,2.0", "2,3.5", "3,2.5")
    assert [metrics["loss"] for *_, metrics in told(read(path))] == [4.0, 3.5, 2.5]


def test_a_cell_that_never_ends(write_table):
    """A quoted cell longer than a table may have is a sentence with its line."""
    path = write_table("step,loss,note", "1,2.0,a", '2,2.0,"' + "x" * 200_000 + '"')
    with pytest.raises(UnreadableRun, match="line 3 is no row of a table: field larger"):
        read(path)


def test_a_row_of_a_gigabyte(write_table, monkeypatch):
    """A row longer than any log's is refused when that much of it was read."""
    monkeypatch.setattr(content, "LONGEST_LINE", 1000)
    with pytest.raises(UnreadableRun, match="it has a line of more than 64 MB"):
        read(write_table("step,loss,note", "1,2.0,a", "2,1.0," + "x" * 2000))


def test_a_block_of_zero_bytes_is_left_out(tmp_path, told):
    """A power loss leaves zeros where lines were; the lines around them are read, and it is said."""
    path = tmp_path / "log.csv"
    path.write_bytes(b"step,loss\n1,2.0\n" + b"\0" * 500 + b"7,0.5\n4,1.0\n")
    recording = read(path)
    assert told(recording) == [(1, "train", {"loss": 2.0}), (4, "train", {"loss": 1.0})]
    assert recording.notes == (
        "Line 3 is torn: cut short, with bytes that are zero, or with a quote that is not closed, and left out.",
    )


def test_an_unclosed_quote_costs_its_line_alone(write_table, told):
    """What comes after it is read, and a cell of several lines is still one."""
    rows = ("step,loss,note", '1,2.0,"two', 'lines"', '2,1.5,"torn', "3,1.0,", "4,0.5,")
    recording = read(write_table(*rows))
    losses = [(step, metrics.get("loss")) for step, _, metrics in told(recording)]
    assert losses == [(1, 2.0), (3, 1.0), (4, 0.5)]
    assert recording.notes[0].startswith("Line 4 is torn")


def test_a_row_without_its_end_is_named(tmp_path):
    """The last row may be cut in the middle of a number, so it is left out, and it is said."""
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,2.0\n2,1.2")
    assert read(path).notes[0].startswith("Line 3 is torn")
