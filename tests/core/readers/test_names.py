import re
from pathlib import Path

import pytest

from steersman.readers.layouts import layout_of

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "formats.md"


def told(*names, own=None):
    return {part.stage: dict(zip(part.keys, part.names, strict=True)) for part in layout_of(names, own).parts}


def documented():
    """Return each name of the page's table of names beside what it says it becomes, NAME replaced by a metric."""
    table = PAGE.read_text(encoding="utf-8").partition("## Names")[2].partition("Where two names")[0]
    for line in re.findall(r"^\| (`.+`.*) \| (`.+`.*) \|$", table, re.M):
        theirs, ours = (re.findall(r"`([^`]+)`", cell) for cell in line)
        for i, name in enumerate(theirs):
            yield name.replace("NAME", "f1"), ours[min(i, len(ours) - 1)].replace("NAME", "f1")


@pytest.mark.parametrize(("theirs", "ours"), list(documented()))
def test_each_name_of_the_page_becomes_what_the_page_says(theirs, ours):
    """The table of names in docs/reference/formats.md is what is done."""
    [named] = told(theirs).values()
    assert named == {theirs: ours}
    assert len(list(documented())) > 20


def test_a_name_without_a_stage():
    """It is of the evaluation where the row has nothing of training, else of the training; the Trainer's names tell."""
    assert told("val_loss", "accuracy") == {"eval": {"val_loss": "eval_loss", "accuracy": "accuracy"}}
    assert told("val_loss", "loss", "accuracy")["train"] == {"loss": "loss", "accuracy": "accuracy"}
    assert told("accuracy") == {"train": {"accuracy": "accuracy"}}


def test_two_names_for_one_metric():
    """What is called so already has the name, else the first has it; the other keeps its own."""
    assert told("train/loss", "loss") == {"train": {"train/loss": "train/loss", "loss": "loss"}}
    assert told("train/loss", "train_loss") == {"train": {"train/loss": "loss", "train_loss": "train_loss"}}


def test_the_summary():
    """The last words of a run are known by its runtime; without that a train loss is one."""
    names = ("train/train_runtime", "train/train_loss", "train/total_flos", "train/epoch")
    assert told(*names) == {
        "summary": {
            "train/train_runtime": "train_runtime",
            "train/train_loss": "train_loss",
            "train/total_flos": "total_flos",
        }
    }
    assert told("train_loss") == {"train": {"train_loss": "loss"}}


def test_what_is_no_metric():
    """Steps, epochs, times, plans and what Steersman wrote itself are no metrics."""
    names = (
        "step",
        "epoch",
        "_runtime",
        "_timestamp",
        "percentage",
        "total_steps",
        "steersman_score",
        "eval/steersman_score",
    )
    assert told(*names) == {}


def test_a_user_s_names_come_first():
    """What the config maps tells the stage too, whatever the name in the log is."""
    own = {"nll": "eval_loss", "val/ce": "loss"}
    assert told("nll", "val/ce", own=own) == {"train": {"val/ce": "loss"}, "eval": {"nll": "eval_loss"}}
