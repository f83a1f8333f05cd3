"""Evaluated, saved and kept are different facts, and each is told as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from attrs import define
from transformers import Trainer

import steersman
from steersman import Score, hookimpl


@define(eq=False)
class Written:
    """Scores each step as it is told; lower is better."""

    scores: dict[int, float]

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        return Score(self.scores[checkpoint.step], {"written": self.scores[checkpoint.step]})


class Losses(Trainer):
    """A Trainer whose evaluations give the losses written here, by step."""

    losses: dict[int, float] = {}

    def evaluation_loop(self, *args, **kwargs):
        output = super().evaluation_loop(*args, **kwargs)
        output.metrics["eval_loss"] = self.losses[self.state.global_step]
        return output


def _run(make_trainer, scores, losses, *, config=None, **settings):
    trainer = make_trainer(kind=Losses, **settings)
    trainer.losses = losses
    use = {"extends": [], "use": [Written(scores), "eval-loss"]}
    callback = steersman.supervise(trainer, use | (config or {}))
    trainer.train()
    return trainer, callback.summary


def _kept(trainer):
    folder = Path(trainer.args.output_dir) / "steersman" / "kept"
    return {p.parent.name: p.name for p in folder.glob("*/checkpoint-*")}


BOTH = {"keep_both_bests": True}


def test_both_bests_survive_rotation(make_trainer, capsys):
    """With save_total_limit 1 the best by score and the lowest eval loss are kept aside, whole, and their size is said."""
    trainer, summary = _run(
        make_trainer,
        {2: 5.0, 4: 1.0, 6: 3.0, 8: 4.0, 10: 6.0, 12: 7.0},
        {2: 4.0, 4: 3.5, 6: 2.0, 8: 2.5, 10: 2.6, 12: 2.7},
        config=BOTH,
        eval_steps=2,
        save_steps=2,
        save_total_limit=1,
    )

    out = Path(trainer.args.output_dir)
    assert [p.name for p in out.glob("checkpoint-*")] == ["checkpoint-12"]
    assert _kept(trainer) == {"best": "checkpoint-4", "lowest-eval-loss": "checkpoint-6"}
    best = out / "steersman" / "kept" / "best" / "checkpoint-4"
    files = {p.name for p in best.iterdir()}
    assert {"model.safetensors", "trainer_state.json", "optimizer.pt"} <= files
    megabytes = sum(p.stat().st_size for p in best.iterdir()) / 1e6
    said = [line for line in capsys.readouterr().out.splitlines() if "kept the best checkpoint of step 4" in line]
    assert len(said) == 1 and f"{megabytes:,.1f} MB on disk at most" in said[0]
    assert summary["best"]["path"] == str(best)
    assert summary["best"]["exists"] is True
    assert {c["step"] for c in summary["ranking"]} == {4, 6, 12}


def test_a_kept_checkpoint_can_be_loaded(make_trainer, make_model):
    """What is kept is a checkpoint like any other: the Trainer resumes from it."""
    trainer, summary = _run(
        make_trainer, {4: 1.0, 8: 2.0, 12: 3.0}, {4: 1.0, 8: 2.0, 12: 3.0}, config=BOTH | {"console": False},
        save_total_limit=1,
    )  # fmt: skip
    again = make_trainer(name="again")

    again.train(resume_from_checkpoint=summary["best"]["path"])

    assert again.state.global_step == 12
    assert [e["step"] for e in again.state.log_history if "eval_loss" in e] == [4, 8, 12]


def test_the_best_that_was_saved_is_kept(make_trainer):
    """Where the best evaluation was never saved, the best of those that were is the one that is kept."""
    trainer, summary = _run(
        make_trainer,
        {2: 5.0, 4: 4.0, 6: 1.0, 8: 3.0, 10: 6.0, 12: 7.0},
        {2: 5.0, 4: 4.0, 6: 1.0, 8: 3.0, 10: 6.0, 12: 7.0},
        config=BOTH | {"console": False},
        eval_steps=2,
        save_steps=4,
        save_total_limit=1,
    )

    assert _kept(trainer) == {"best": "checkpoint-8", "lowest-eval-loss": "checkpoint-8"}
    assert (summary["best"]["step"], summary["best_saved"]["step"]) == (6, 8)


def test_a_kept_best_that_was_rotated_away_is_not_lost_to_a_worse(make_trainer):
    """A best that is only kept aside still counts as there when a later, worse one is saved."""
    trainer, _ = _run(
        make_trainer, {4: 1.0, 8: 2.0, 12: 3.0}, {4: 3.0, 8: 2.0, 12: 1.0}, config=BOTH | {"console": False},
        save_total_limit=1,
    )  # fmt: skip

    assert _kept(trainer) == {"best": "checkpoint-4", "lowest-eval-loss": "checkpoint-12"}


def test_without_the_option_nothing_is_kept(make_trainer):
    """Without keep_both_bests no copy is made, and the ranking lists only what the Trainer has left."""
    trainer, summary = _run(
        make_trainer, {4: 1.0, 8: 2.0, 12: 3.0}, {4: 1.0, 8: 2.0, 12: 3.0}, save_total_limit=1,
        config={"console": False},
    )  # fmt: skip

    assert _kept(trainer) == {}
    assert [c["step"] for c in summary["ranking"]] == [12]
    assert (summary["best"]["step"], summary["best"]["exists"]) == (4, False)


def test_a_better_evaluation_that_was_never_saved_is_named(make_trainer, capsys, journal):
    """Evaluations every 2 steps, saves every 4: the summary ranks what was saved and names the better one as never saved."""
    trainer, summary = _run(
        make_trainer,
        {2: 5.0, 4: 4.0, 6: 1.0, 8: 3.0, 10: 6.0, 12: 7.0},
        dict.fromkeys((2, 4, 6, 8, 10, 12), 2.0),
        eval_steps=2,
        save_steps=4,
    )

    assert [c["step"] for c in summary["ranking"]] == [8, 4, 12]
    assert all(Path(c["path"]).is_dir() for c in summary["ranking"])
    printed = capsys.readouterr().out
    assert "step 6 was evaluated and never saved, or is gone; the best saved one is step 8" in printed
    assert journal(trainer, "end")[0].data["best"]["step"] == 6


@pytest.mark.parametrize("disagree", [True, False])
def test_disagreement_is_shown(make_trainer, capsys, disagree):
    """Where the scorer's best and the lowest eval loss differ, the summary names both with their terms; else it does not."""
    losses = {4: 3.0, 8: 2.0, 12: 1.0} if disagree else {4: 1.0, 8: 2.0, 12: 3.0}
    _, summary = _run(make_trainer, {4: 1.5, 8: 2.5, 12: 3.5}, losses)

    lines = capsys.readouterr().out.splitlines()
    assert summary["disagree"] is disagree
    (best,) = (line for line in lines if "best checkpoint by written" in line)
    assert f"step 4 (score 1.500000, eval loss {losses[4]:.4f}; written +1.5000)" in best
    lowest = [line for line in lines if "the lowest eval loss is another" in line]
    assert len(lowest) == disagree
    if disagree:
        assert "step 12 (score 3.500000, eval loss 1.0000; written +3.5000)" in lowest[0]


def test_a_disk_that_refuses_is_said_and_the_run_goes_on(make_trainer, capsys):
    """Where nothing can be kept, that is said, and training goes on to its end."""
    out = make_trainer(max_steps=1).args.output_dir
    (Path(out) / "steersman").mkdir(parents=True)
    (Path(out) / "steersman" / "kept").write_text("in the way")

    trainer, _ = _run(make_trainer, {4: 1.0, 8: 2.0, 12: 3.0}, {4: 1.0, 8: 2.0, 12: 3.0}, config=BOTH)

    assert trainer.state.global_step == 12
    assert "could not be kept in" in capsys.readouterr().out


def test_what_another_run_left_there_stands_for_no_step_of_this_one(make_trainer):
    """A second run in the same folder, whose best is step 4 too: its own weights are kept, not those of the first."""
    scores = {4: 1.0, 8: 2.0, 12: 3.0}
    settings = {"config": BOTH | {"console": False}, "save_total_limit": 1}
    first, _ = _run(make_trainer, scores, scores, **settings)
    path = Path(first.args.output_dir) / "steersman" / "kept" / "best" / "checkpoint-4" / "model.safetensors"
    before = path.read_bytes()
    shutil.rmtree(Path(first.args.output_dir) / "checkpoint-12")
    _, summary = _run(make_trainer, scores, scores, learning_rate=1e-2, **settings)

    assert path.read_bytes() != before
    assert summary["best"]["path"] == str(path.parent)
