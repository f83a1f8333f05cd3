"""Who hears of a run: what `report_to` says, what the trainer has, and what is there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from steersman import ConfigError
from steersman.config import read
from steersman.journal import JournalEntry
from steersman.reporters.sinks import Reporting, Trackers, reporting

NAMES = ("tensorboard", "wandb", "mlflow")


def of(asked, mode="advise", folder=None, **found):
    """Return the names of the classes that hear, and the notes."""
    made = reporting(asked, mode, Trackers(folder, **found))
    return [type(sink).__name__ for sink in made.sinks], made.notes


EVERYWHERE = {name: (lambda: None) for name in NAMES}


@pytest.mark.parametrize(
    ("asked", "mode", "found", "expected"),
    [
        ("auto", "advise", EVERYWHERE, ["TensorBoard", "Wandb", "MLflow"]),
        ("auto", "act", {"wandb": lambda: None}, ["Wandb"]),
        ("auto", "act", {}, []),
        ("auto", "observe", EVERYWHERE, []),
        ("none", "act", EVERYWHERE, []),
        ((), "act", EVERYWHERE, []),
        (("mlflow",), "observe", EVERYWHERE, ["MLflow"]),
        (("wandb", "tensorboard", "wandb"), "act", EVERYWHERE, ["Wandb", "TensorBoard"]),
    ],
)
def test_who_hears(asked, mode, found, expected):
    """`auto` is where the trainer reports, but for `observe`; a list is what it names, once each; nothing is noted."""
    assert of(asked, mode, **found) == (expected, ())


def test_what_is_named_and_not_there_is_a_note(tmp_path):
    """Without a run of W&B or MLflow each is a sentence that says what to call; TensorBoard needs none."""
    sinks, notes = of(NAMES, folder=tmp_path)

    assert sinks == ["TensorBoard"]
    assert notes == (
        "report_to names wandb, and no run of it is active: call wandb.init before training",
        "report_to names mlflow, and no run of it is active: call mlflow.start_run before training",
    )


ALONE = """
import importlib.util, json, sys
from pathlib import Path
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "tensorboard" else real(name, *rest)
from steersman.reporters.sinks import Trackers, reporting
notes = reporting(("tensorboard", "wandb", "mlflow"), "act", Trackers(Path())).notes
imported = [name for name in ("torch", "tensorboard", "wandb", "mlflow", "numpy") if name in sys.modules]
print(json.dumps([notes, imported]))
"""


def test_nothing_is_imported_that_the_user_has_not():
    """In a process where nothing is imported and TensorBoard not installed, all three are notes and nothing is loaded."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True, timeout=60)

    notes, imported = json.loads(done.stdout)
    assert imported == []
    assert notes[0] == "report_to names tensorboard, which is not installed: pip install 'steersman[tensorboard]'"
    assert [note.split(",")[0] for note in notes[1:]] == ["report_to names wandb", "report_to names mlflow"]


class Unclosable:
    def hear(self, entry):
        pass

    def close(self):
        raise OSError(5, "Input/output error")


def test_what_cannot_be_closed_raises_nothing(tmp_path, logs):
    """An error at the end is logged with its name, and the others are closed all the same."""
    sound = reporting(("tensorboard",), "act", Trackers(tmp_path))
    sound.reporters[0](JournalEntry("adjustment", 1, {"hyperparameter": "learning_rate", "new": 1.0}, 1.0))
    Reporting((Unclosable(), *sound.sinks)).close()

    assert [log["reporter"] for log in logs] == ["Unclosable"]
    assert sound.sinks[0].writer._made is None


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        ("auto", "auto"),
        ("none", "none"),
        (["wandb"], ("wandb",)),
        (["mlflow", "tensorboard"], ("mlflow", "tensorboard")),
    ],
)
def test_the_key_of_the_config(given, read_as):
    """`report_to` is auto, none, or a list of names; auto is the default."""
    assert read({"report_to": given}).report_to == read_as
    assert read({}).report_to == "auto"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tensorboard", "$.report_to: expected one of 'auto', 'none' or expected a list, got 'tensorboard'"),
        (["tensorbord"], "$.report_to[0]: expected one of 'tensorboard', 'wandb', 'mlflow', got 'tensorbord', did you mean 'tensorboard'?"),
    ],
)  # fmt: skip
def test_a_fault_in_the_key(given, said):
    """A text that is no choice, and a name in the list that is none, are said with their path."""
    with pytest.raises(ConfigError) as error:
        read({"report_to": given})

    assert said in str(error.value)
