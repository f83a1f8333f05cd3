"""A score comes from another process while the Trainer trains: the run hears it at its next check."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from attrs import define
from transformers import TrainerCallback

import steersman
from steersman import Save, Score, hookimpl
from steersman.choosing import best_of
from steersman.verifying import verify


class Records(TrainerCallback):
    """Runs `steersman record` in a process of its own at the end of the given steps."""

    def __init__(self, folder, at, stop_at):
        self.folder, self.at, self.stop_at = folder, at, stop_at

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.stop_at:
            raise KeyboardInterrupt

    def on_step_end(self, args, state, control, **kwargs):
        for words in self.at.get(state.global_step, ()):
            command = [sys.executable, "-m", "steersman.cli", "record", str(self.folder), "--step", *words.split()]
            subprocess.run(command, check=True, capture_output=True)


@define(eq=False)
class Sees:
    """Wants a save at each check, because of the best that it sees."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Save(f"best is {run.best.step if run.best else None}")


@pytest.fixture
def trained(make_trainer, tmp_path):
    """Return a function that trains twelve steps, evaluated and saved at 4, 8 and 12, under a requirement."""

    def train(at, *, resume=None, stop_at=None):
        folder = tmp_path / "run"
        trainer = make_trainer(callbacks=[Records(folder, at, stop_at)])
        config = {
            "extends": "no-rails",
            "use": ["eval-loss", f"{__file__}:Sees"],
            "score": {"require": {"safety": ">= 0.9"}},
            "check_every": 2,
            "console": False,
        }
        callback = steersman.supervise(trainer, config)
        with nullcontext() if stop_at is None else pytest.raises(KeyboardInterrupt):
            trainer.train(resume_from_checkpoint=resume)
        return folder, callback.summary

    return train


def seen(folder):
    entries = steersman.replay(folder).recording.decisions
    return [
        (entry.step, entry.data["because"].removeprefix("best is ")) for entry in entries if entry.kind == "proposal"
    ]


def test_a_running_trainer_hears_at_its_next_check(trained):
    """Step 4 is recorded during step 5: nothing is best at the checks of 2 and 4, and 4 is from the check at 6 on."""
    folder, summary = trained({5: ["4 safety=0.95"], 9: ["8 safety=0.5"]})
    verified = verify(folder)

    assert seen(folder) == [(2, "None"), (4, "None"), (6, "4"), (8, "4"), (10, "4"), (12, "4")]
    assert summary["best"]["step"] == 4
    assert [(c["step"], c["why"]) for c in summary["passed_over"]] == [
        (12, "waiting for safety"), (8, "safety 0.5 is not >= 0.9"),
    ]  # fmt: skip
    assert (verified.differences, verified.until) == ((), None)
    assert best_of(folder).path == folder / "checkpoint-4"


def test_a_resumed_trainer_hears_what_came_while_it_was_down(trained):
    """Resumed at 8: it keeps that 4 is safe, hears of 8 at its next check, and the whole verifies."""
    folder, _ = trained({5: ["4 safety=0.95"]}, stop_at=9)
    steersman.record(folder, 8, safety=0.99)
    folder, summary = trained({11: ["4 safety=0.1"]}, resume=str(folder / "checkpoint-8"))

    assert seen(folder)[-2:] == [(10, "8"), (12, "8")]
    assert (2, "None") in seen(folder) and (6, "4") in seen(folder)
    assert summary["best"]["step"] == 8
    assert verify(folder).differences == ()


def test_the_best_that_waits_survives_rotation(make_trainer, tmp_path):
    """With save_total_limit 1 and nothing recorded yet, the best by score is kept aside until its score comes."""
    trainer = make_trainer(save_total_limit=1)
    config = {
        "use": ["eval-loss"],
        "score": {"require": {"safety": ">= 0.9"}},
        "keep_both_bests": True,
        "console": False,
    }
    steersman.supervise(trainer, {"extends": [], **config})
    trainer.train()
    lowest = min((log["eval_loss"], log["step"]) for log in trainer.state.log_history if "eval_loss" in log)[1]
    steersman.record(tmp_path / "run", lowest, safety=0.95)

    kept = tmp_path / "run" / "steersman" / "kept"
    assert (kept / "waiting" / f"checkpoint-{lowest}" / "model.safetensors").is_file()
    assert not (kept / "best").exists()
    assert best_of(tmp_path / "run").checkpoint.step == lowest
    assert Path(best_of(tmp_path / "run").path / "model.safetensors").is_file()


class RecordsHere(TrainerCallback):
    """Records in this process, at the end of the given steps."""

    def __init__(self, folder, at):
        self.folder, self.at = folder, at

    def on_step_end(self, args, state, control, **kwargs):
        for step, metrics in self.at.get(state.global_step, {}).items():
            steersman.record(self.folder, step, **metrics)


@define(eq=False)
class Earlier:
    """Scores a later step better."""

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(100.0 - checkpoint.step)


@pytest.mark.parametrize("check_every", [2, 100])
@pytest.mark.parametrize("late", [0.95, 0.1])
def test_what_a_late_score_approves_is_kept_before_anything_is_dropped(make_trainer, tmp_path, check_every, late):
    """4 waits, is scored at 5 and, heard or not, is kept as the best while 8 and 12 wait; where it fails it is let go."""
    folder = tmp_path / "run"
    trainer = make_trainer(save_total_limit=1, callbacks=[RecordsHere(folder, {5: {4: {"safety": late}}})])
    config = {
        "extends": [],
        "use": [Earlier()],
        "score": {"require": {"safety": ">= 0.9"}},
        "check_every": check_every,
        "keep_both_bests": True,
        "console": False,
    }
    steersman.supervise(trainer, config)
    trainer.train()
    kept = folder / "steersman" / "kept"
    found = {p.parent.name: p.name for p in kept.glob("*/checkpoint-*") if p.parent.name != "lowest-eval-loss"}

    expected = {"best": "checkpoint-4", "waiting": "checkpoint-12"} if late > 0.9 else {"waiting": "checkpoint-12"}
    assert found == expected
    if late > 0.9:
        assert best_of(folder).path == kept / "best" / "checkpoint-4"
        assert (kept / "best" / "checkpoint-4" / "model.safetensors").is_file()
