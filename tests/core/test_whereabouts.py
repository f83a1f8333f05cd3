"""Where the checkpoints of a run lie, and what became of those that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from steersman.checkpoints import Checkpoint
from steersman.journal import JournalEntry
from steersman.whereabouts import Whereabouts


def at(step, path=None):
    return Checkpoint(step, None, {}, None, path=path)


def saved(*steps_and_paths):
    return [JournalEntry("checkpoint_saved", step, {"path": path}) for step, path in steps_and_paths]


def test_an_absolute_path_is_used_where_the_checkpoint_lies_elsewhere(tmp_path):
    """Written outside the run directory, it is where the journal says."""
    path = tmp_path / "scratch" / "last.ckpt"
    path.parent.mkdir()
    path.write_text("weights of the model")

    assert Whereabouts(tmp_path / "out", {}, saves_known=True).place(at(10, str(path))) == path


def test_place_of_what_was_never_saved(tmp_path):
    """Without a path there is no place, whatever lies in the folder."""
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "checkpoint-10" / "weights").write_text("w")

    assert Whereabouts(tmp_path, {}, saves_known=True).place(at(10)) is None


@pytest.mark.parametrize(
    ("entries", "checkpoint", "fate"),
    [
        ([], at(10), "has no checkpoint here"),
        (saved((20, "out/checkpoint-20")), at(10), "was evaluated and never saved"),
        (saved((20, "out/checkpoint-20")), at(20, "out/checkpoint-20"), "was saved in out/checkpoint-20 and is gone"),
        (saved((10, "best.pt"), (20, "best.pt"), (30, "best.pt")), at(10), "was written over by step 20"),
        (saved((10, "a.pt"), (10, "b.pt"), (20, "a.pt")), at(10, "b.pt"), "was saved in b.pt and is gone"),
    ],
)
def test_what_became_of_it(tmp_path, entries, checkpoint, fate):
    """Each fate is told as it is; where no save was ever told nothing is claimed."""
    assert Whereabouts.of(tmp_path, entries).fate(checkpoint) == fate


def test_what_lies_there_and_cannot_be_used(tmp_path, monkeypatch):
    """The reason is told: nothing in it, or not finished."""
    monkeypatch.chdir(tmp_path)
    for name in ("checkpoint-10", "checkpoint-20.tmp"):
        Path("out", name).mkdir(parents=True)
    there = Whereabouts(Path("out"), {}, saves_known=True)

    assert there.fate(at(10, "out/checkpoint-10")) == "cannot be used from out/checkpoint-10: it is empty"
    assert (
        there.fate(at(20, "out/checkpoint-20.tmp"))
        == "cannot be used from out/checkpoint-20.tmp: it is still being written"
    )
