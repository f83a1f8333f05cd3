"""Which checkpoint to use: the best that may be best and is there, wherever the run lies now."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import steersman
from steersman.choosing import NoCheckpoint, best_of, link_to
from steersman.journal import Journal
from steersman.readers import UnreadableRun

GATE = {"score": {"require": {"safety": ">= 0.92"}}}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Make a supervised run in `out`, below the working directory: losses by step, each saved unless told otherwise."""
    monkeypatch.chdir(tmp_path)

    def make(losses, *, config=None, saved=None, absolute=False, name="checkpoint-{}"):
        folder = tmp_path / "out" if absolute else Path("out")
        journal = Journal(folder / "steersman" / "journal.jsonl")
        journal.open()
        journal.write("run", 0, resumed=False, mode="advise", strategies=[{"name": "eval-loss"}], config=config or {})
        for step, loss in losses.items():
            journal.write("record", step, of="eval", metrics={"eval_loss": loss})
            journal.write("score", step, strategy="eval-loss", value=loss, eval_loss=loss)
            if saved is None or step in saved:
                path = folder / name.format(step)
                path.mkdir(parents=True, exist_ok=True)
                (path / "weights").write_text("w")
                journal.write("checkpoint_saved", step, path=str(path), evaluated=True)
        journal.close()
        return Path("out")

    return make


LOSSES = {10: 3.0, 20: 1.0, 30: 2.0}


def test_the_best_that_is_there(run):
    """20 is best; once it is gone 30 is, and that is said; once all are gone there is none."""
    out = run(LOSSES)
    first = best_of(out)
    shutil.rmtree(out / "checkpoint-20")
    second = best_of(out)
    shutil.rmtree(out / "checkpoint-30")
    shutil.rmtree(out / "checkpoint-10")

    assert (first.path, first.scorer, first.score, first.passed_over) == (out / "checkpoint-20", "eval-loss", 1.0, ())
    assert (second.path, second.passed_over) == (
        out / "checkpoint-30",
        (
            "Step 20 is the best (1.0000), but was saved in out/checkpoint-20 and is gone; the best that is there is step 30.",
        ),
    )
    with pytest.raises(
        NoCheckpoint, match="out: no checkpoint that may be best is there. Step 20 is the best .* is gone"
    ):
        best_of(out)


def test_the_best_was_never_saved(run):
    """The next best that was saved is chosen, and why is said."""
    out = run(LOSSES, saved=(10, 30))

    assert best_of(out).passed_over == (
        "Step 20 is the best (1.0000), but was evaluated and never saved; the best that is there is step 30.",
    )


def test_what_is_required_decides_first(run):
    """All wait; one is met; the better one fails: the reasons are told, best first."""
    out = run(LOSSES, config=GATE)
    with pytest.raises(NoCheckpoint) as none:
        best_of(out)
    steersman.record(out, 10, safety=0.95)
    steersman.record(out, 20, safety=0.9)
    chosen = best_of(out)

    assert str(none.value) == (
        "out: no checkpoint that may be best is there. Step 20 scores 1.0000 and is passed over, waiting for safety. "
        "Step 30 scores 2.0000 and is passed over, waiting for safety. "
        "Step 10 scores 3.0000 and is passed over, waiting for safety."
    )
    assert (chosen.path, chosen.passed_over) == (
        out / "checkpoint-10",
        (
            "Step 20 scores 1.0000 and is rejected: safety 0.9 is not >= 0.92.",
            "Step 30 scores 2.0000 and is passed over, waiting for safety.",
        ),
    )


def test_the_directory_is_looked_for_where_the_run_lies(run, tmp_path, monkeypatch):
    """Moved, seen from another folder, nested, or kept aside: the path leads there from the working directory."""
    out = run(LOSSES, name="logs/version_0/checkpoint-{}")
    shutil.move("out", "elsewhere")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    moved = best_of(Path("../elsewhere"))
    by_journal = best_of(Path("../elsewhere/steersman/journal.jsonl"))

    assert out == Path("out")
    assert moved.path == Path("../elsewhere/logs/version_0/checkpoint-20")
    assert by_journal.path.resolve() == moved.path.resolve()
    assert (moved.path / "weights").read_text() == "w"


def test_a_checkpoint_of_another_run_is_never_taken(run, tmp_path, monkeypatch):
    """The path in the journal is relative to where the training ran; a folder of that name here is another run's."""
    run(LOSSES)
    shutil.copytree("out", "copy/out")
    shutil.rmtree("copy/out/checkpoint-20")

    assert best_of(Path("copy/out")).path == Path("copy/out/checkpoint-30")


def test_what_was_kept_past_rotation_is_found(run):
    """The trainer has deleted its own; the copy that `keep_both_bests` made is used."""
    out = run(LOSSES)
    kept = out / "steersman" / "kept" / "best"
    kept.mkdir(parents=True)
    shutil.move(out / "checkpoint-20", kept / "checkpoint-20")

    assert best_of(out).path == kept / "checkpoint-20"


@pytest.mark.parametrize("name", ["tmp-checkpoint-{}", "checkpoint-{}.making", "checkpoint-{}.tmp"])
def test_what_is_still_being_written_is_no_checkpoint(run, name):
    """A directory that is not finished has another name, or nothing in it."""
    out = run(LOSSES, name=name)
    with pytest.raises(NoCheckpoint):
        best_of(out)


def test_an_empty_directory_is_no_checkpoint(run):
    """Of 20 only the directory is left; 30 is whole."""
    out = run(LOSSES)
    (out / "checkpoint-20" / "weights").unlink()

    assert best_of(out).path == out / "checkpoint-30"


def test_a_file_written_over_is_the_newest_step_only(run, tmp_path):
    """`best.pt` was saved at 20 and again at 30: it holds the weights of 30, and those of 20 are gone."""
    out = run({10: 3.0, 20: 1.0, 30: 2.0}, name="best")

    chosen = best_of(out)

    assert (chosen.checkpoint.step, chosen.path) == (30, out / "best")
    assert chosen.passed_over == (
        "Step 20 is the best (1.0000), but was written over by step 30; the best that is there is step 30.",
    )


def test_another_scorer_and_none_of_that_name(run):
    """`scorer` takes its ranking; a name that is none is told with the nearest."""
    out = run(LOSSES)

    assert best_of(out, scorer="eval-loss").checkpoint.step == 20
    with pytest.raises(ValueError, match="no scorer of out is called 'evalloss', did you mean 'eval-loss'"):
        best_of(out, scorer="evalloss")


def test_a_run_that_was_never_supervised_is_replayed(tmp_path, runs, monkeypatch):
    """The default scorers judge its log; late scores recorded for it count, and a config may require them."""
    monkeypatch.chdir(tmp_path)
    state = json.loads((runs / "trainer_state" / "llama-factory-01.json").read_text())
    for step in (200, 1100, 1200):
        folder = Path("out") / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(json.dumps(state))
        (folder / "weights").write_text("w")
    steersman.record("out", 1100, safety=0.95)
    multi_metric = {"use": ["multi-metric", "eval-loss"]}

    assert best_of(Path("out")).path == Path("out/checkpoint-1100")
    assert best_of(Path("out"), multi_metric).path == Path("out/checkpoint-200")
    assert best_of(Path("out"), multi_metric, scorer="eval-loss").path == Path("out/checkpoint-1100")
    assert best_of(Path("out"), {**multi_metric, **GATE}).path == Path("out/checkpoint-1100")


def test_nothing_was_scored(run):
    """A run without an evaluation has no best."""
    out = run({})
    with pytest.raises(NoCheckpoint, match="^out: it has no evaluation, so no checkpoint can be best$"):
        best_of(out)


def test_a_link_is_made_and_replaced_in_one_move(tmp_path):
    """It leads to the checkpoint from anywhere; an older link, a broken one too, is replaced; nothing else is left."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "deep" / "current"
    link_to(tmp_path / "one", link)
    first = link.resolve()
    (tmp_path / "one").rmdir()
    link_to(tmp_path / "two", link)

    assert (first, link.resolve()) == (tmp_path / "one", tmp_path / "two")
    assert os.listdir(tmp_path / "deep") == ["current"]


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_a_link_takes_the_place_of_a_link_only(tmp_path, kind):
    """A real directory or file is left alone, and that is said."""
    there = tmp_path / "current"
    there.mkdir() if kind == "directory" else there.write_text("mine")

    with pytest.raises(FileExistsError, match="it is there and is no symbolic link, so it is left alone"):
        link_to(tmp_path, there)
    assert not there.is_symlink()
    assert os.listdir(tmp_path) == ["current"]


def test_a_checkpoint_that_is_a_file_is_found_under_another_config_too(run):
    """Lightning writes files; the journal says where, also where the run is replayed with a config of its own."""
    out = run({})
    journal = Journal(out / "steersman" / "journal.jsonl")
    journal.open()
    for step, loss in LOSSES.items():
        journal.write("record", step, of="eval", metrics={"eval_loss": loss, "eval_f1": loss})
        journal.write("score", step, strategy="eval-loss", value=loss, eval_loss=loss)
        path = out / "checkpoints" / f"step={step}.ckpt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("weights of the model")
        journal.write("checkpoint_saved", step, path=str(path), evaluated=True)
    journal.close()
    highest = {"extends": [], "score": {"eval_f1": {"direction": "higher"}}}

    assert best_of(out).path == out / "checkpoints" / "step=20.ckpt"
    assert best_of(out, highest).path == out / "checkpoints" / "step=10.ckpt"


def entry(out, kind, step, **data):
    journal = Journal(out / "steersman" / "journal.jsonl")
    journal.open()
    journal.write(kind, step, **data)
    journal.close()


def test_one_that_its_scorer_rejects_is_told(run):
    """Steps 10 and 30 are rejected, so 20 is best; who asks hears of both, and where all are, why there is none."""
    out = run(LOSSES)
    for step in (10, 30):
        entry(out, "score", step, strategy="eval-loss", value=float("inf"), rejected="harm 0.3")
    chosen = best_of(out)
    entry(out, "score", 20, strategy="eval-loss", value=float("inf"), rejected="harm 0.5")
    with pytest.raises(NoCheckpoint) as none:
        best_of(out)

    assert (chosen.checkpoint.step, chosen.passed_over) == (20, ("eval-loss rejected steps 10 and 30: harm 0.3.",))
    assert none.value.reason == (
        "out: eval-loss gave no finite score to any of 3 evaluations. eval-loss rejected steps 10 and 30: harm 0.3. "
        "eval-loss rejected step 20: harm 0.5"
    )


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([("unscored", {"metrics": {"eval_loss": float("nan")}})], "scored one: no eval loss is finite"),
        ([("unscored", {"metrics": {"eval_f1": 0.5}})], "scored one: none has an eval loss"),
        (
            [
                ("unscored", {"metrics": {"eval_loss": 1.0}}),
                ("error", {"strategy": "mine", "hook": "score_checkpoint", "error": "ValueError: bad"}),
            ],
            "scored one: mine failed with ValueError: bad",
        ),
    ],
)
def test_why_no_checkpoint_was_scored(run, lines, why):
    """NaN, no loss, a strategy that raises: each is told as it is."""
    out = run({})
    for kind, data in lines:
        entry(out, kind, 10, **data)
    with pytest.raises(NoCheckpoint) as none:
        best_of(out)

    assert str(none.value) == f"out: it has 1 evaluation, and no strategy {why}"


def test_an_empty_journal(tmp_path):
    """It has no evaluation either."""
    (tmp_path / "steersman").mkdir()
    (tmp_path / "steersman" / "journal.jsonl").touch()
    with pytest.raises(NoCheckpoint, match="it has no evaluation"):
        best_of(tmp_path)


def test_a_misspelt_requirement_is_told_with_the_nearest(run):
    """Nothing is ever called safty: every checkpoint waits for it, and what was meant is named."""
    out = run(LOSSES, config={"score": {"require": {"safty": ">= 0.9", "else": "> 0"}}})
    steersman.record(out, 10, safety=0.95)
    with pytest.raises(NoCheckpoint) as none:
        best_of(out)

    assert "No checkpoint has safty; the nearest that came is safety." in none.value.passed_over


@pytest.mark.parametrize("named", ["out/steersman", "out/steersman/journal.jsonl", "out/checkpoint-10", "."])
def test_what_belongs_to_a_run_stands_for_it(run, named, monkeypatch):
    """Its steersman folder, its journal, one of its checkpoints, from outside and from inside: the best of the run."""
    out = run(LOSSES)
    if named == ".":
        monkeypatch.chdir(out / "checkpoint-10")
    chosen = best_of(Path(named))

    assert chosen.path.resolve().name == "checkpoint-20"
    assert (chosen.path / "weights").is_file()


def test_a_checkpoint_or_its_state_of_an_unsupervised_run(tmp_path, runs, monkeypatch):
    """The run is looked at, not the one checkpoint; of one that was deleted nothing is claimed."""
    monkeypatch.chdir(tmp_path)
    state = json.loads((runs / "trainer_state" / "llama-factory-01.json").read_text())
    for step in (200, 1200):
        folder = Path("out") / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(json.dumps(state))
        (folder / "weights").write_text("w")
    chosen = [best_of(Path("out/checkpoint-1200", *more)) for more in ((), ("trainer_state.json",))]

    assert {c.path for c in chosen} == {Path("out/checkpoint-1200")}
    [said] = {c.passed_over[-1] for c in chosen}
    assert said.startswith(
        "Step 1100 is the best (0.8828), but has no checkpoint here; the best that is there is step "
    )


def test_a_checkpoint_that_is_not_there_stands_for_nothing(run):
    """A path that does not exist is said to be none, though the run beside it has a best."""
    out = run(LOSSES)
    with pytest.raises(UnreadableRun, match="out/checkpoint-99: there is no such file or directory"):
        best_of(out / "checkpoint-99")
