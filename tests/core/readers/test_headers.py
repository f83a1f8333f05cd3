"""Tables that were written for people: charts of W&B, and what a Trainer shows in a notebook."""

import pytest

from steersman.readers import UnreadableRun, find, read


def test_a_chart_of_one_run(write_table, told):
    """The name of the run and the least and greatest value of a point are left out."""
    path = write_table(
        '"Step","a - b - eval/loss","a - b - _step","a - b - _step__MIN","a - b - _step__MAX",'
        '"a - b - eval/loss__MIN","a - b - eval/loss__MAX"',
        '"10","0.9","10","10","10","0.8","1.0"',
        '"20","0.7","20","20","20","0.6","0.8"',
    )
    recording = read(path)
    assert recording.format == "wandb"
    assert told(recording) == [(10, "eval", {"eval_loss": 0.9}), (20, "eval", {"eval_loss": 0.7})]


def test_a_chart_of_several_runs_is_refused(write_table):
    """Its lines are of different runs, so a sentence names them; in a tree it is found, so that this is said."""
    columns = (f'"run-{name} - loss{end}"' for name in "abcde" for end in ("", "__MIN", "__MAX"))
    path = write_table(",".join(['"Step"', *columns]), ",".join(["10", *["0.5"] * 15]))
    assert list(find(path.parent)) == [path]
    with pytest.raises(UnreadableRun, match="chart of 5 runs, run-a, run-b, run-c and 2 more; export the chart of one"):
        read(path)


def test_the_table_of_a_notebook(write_table, told):
    """Every column but the training loss is of the evaluation; `No log` is no value."""
    path = write_table(
        "Step,Training Loss,Validation Loss,Macro F1", "10,No log,0.9,0.25", "20,2.0,0.7,0.5", name="shown.csv"
    )
    recording = read(path)
    assert told(recording) == [
        (10, "eval", {"eval_loss": 0.9, "eval_macro_f1": 0.25}),
        (20, "train", {"loss": 2.0}),
        (20, "eval", {"eval_loss": 0.7, "eval_macro_f1": 0.5}),
    ]
    assert recording.notes == ()


def test_the_table_of_a_notebook_by_epoch(write_table, told):
    """The epochs finished are the steps; one's own name of a column comes first."""
    path = write_table("Epoch,Training Loss,Validation Loss,Exact", "1,2.0,0.9,0.25", "2,1.0,0.7,0.5")
    found = told(read(path, {"Exact": "eval_exact_match"}))
    assert found[1] == (1, "eval", {"eval_loss": 0.9, "eval_exact_match": 0.25})
    assert [(step, kind) for step, kind, _ in found] == [(1, "train"), (1, "eval"), (2, "train"), (2, "eval")]
