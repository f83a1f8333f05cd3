"""The decisions of a live run, recomputed from its journal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from attrs import define
from click.testing import CliRunner

import steersman
from steersman import Adjust, Hyperparameter, Rollback, Stop, control, hookimpl
from steersman.cli import main
from steersman.readers import UnreadableRun
from steersman.verifying import verify

STEPS = 60


@define(eq=False)
class Steers:
    """Cuts the rate and raises the clip now and then, lowers the KL penalty once, rolls back on NaN, stops at the end."""

    needs_snapshots = True

    @hookimpl
    def propose_adjustments(self, check):
        if check.step % 15 == 0:
            yield Adjust("learning_rate", scale=0.7, because="now and then")
        if check.step % 20 == 0:
            yield Adjust("smoothing", scale=1.3, because="now and then")
        if check.step == 30:
            yield Adjust("kl_penalty", scale=0.8, because="once")
        if check.window is not None and check.window.nonfinite:
            yield Rollback("NaN")
        if check.step == 55:
            yield Stop("a test")


def config(**own):
    return {
        "mode": "act",
        "check_every": 5,
        "use": ["eval-loss", "trend-health", f"{__file__}:Steers"],
        "hyperparameters": {name: {} for name in ("learning_rate", "smoothing", "kl_penalty")},
        "rails": {"last_share": 0.1},
        "console": False,
    } | own


class Training:
    """A plain loop on one linear layer, whose losses are told rather than computed."""

    def __init__(self, folder: Path, settings, *, state=None, broken="", before=()):
        self.model = torch.nn.Linear(2, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.before = dict(before)
        values = {"smoothing": 0.5}

        def write(value):
            if broken == "raises":
                raise RuntimeError("read only")
            if broken != "ignores":
                values["smoothing"] = value

        own = [
            Hyperparameter("smoothing", lambda: values["smoothing"], write, safer="down"),
            Hyperparameter.holding("kl_penalty", 0.1),
        ]
        self.loop = steersman.attach(
            self.optimizer, settings, folder=folder, model=self.model, total_steps=STEPS, eval_every=10,
            hyperparameters=own,
        )  # fmt: skip
        if state is not None:
            self.loop.load_state_dict(json.loads(json.dumps(state)))
        self.begun = 0 if state is None else state["step"]

    def go(self, until: int = STEPS, *, broken_at=(23, 41)):
        for step in range(self.begun + 1, until + 1):
            self.optimizer.zero_grad()
            self.model(torch.ones(1, 2)).sum().backward()
            if step in self.before:
                self.before[step]()
            self.optimizer.step()
            self.loop.log(step, loss=math.nan if step in broken_at else 2.0 - step / 50 + 0.05 * math.sin(step))
            if step % 10 == 0:
                self.loop.evaluate(step, loss=2.2 - step / 60)
        return self

    def end(self):
        self.loop.close()
        return self


def lines_of(folder: Path):
    return [json.loads(line) for line in (folder / "steersman" / "journal.jsonl").read_text().splitlines()]


def test_a_run_is_recomputed(tmp_path):
    """Scores, findings, changes, outcomes, restarts and rollbacks come out as they were; the command exits 0."""
    Training(tmp_path, config()).go().end()
    kinds = {line["kind"] for line in lines_of(tmp_path)}
    assert {"score", "finding", "proposal", "outcome", "restart", "rollback"} <= kinds

    told = verify(tmp_path)

    assert told.differences == ()
    assert told.decisions > 20
    ran = CliRunner().invoke(main, ["replay", str(tmp_path), "--verify"])
    assert (ran.exit_code, ran.stdout.endswith("recomputed: all the same\n")) == (0, True)


def edited(folder: Path, kind: str, edit) -> None:
    """Edit the first line of a kind that the editor takes."""
    lines = lines_of(folder)
    done = False
    for line in lines:
        if line["kind"] == kind and not done:
            done = edit(line)
    assert done
    text = "".join(json.dumps(line) + "\n" for line in lines if line is not None and line.get("kind") != "gone")
    (folder / "steersman" / "journal.jsonl").write_text(text)


def put(**fields):
    def edit(line):
        line.update(fields)
        return True

    return edit


EDITS = {
    "a better score": ("score", put(value=0.5), "step 10: score of eval-loss: value 0.5 is "),
    "another verdict": ("proposal", put(verdict="vetoed"), "step 15: proposal learning_rate of Steers: verdict 'vetoed' is 'applied'"),
    "another value": ("proposal", put(new=0.01), "step 15: proposal learning_rate of Steers: new 0.01 is 0.0699"),
    "a proposal that is gone": ("proposal", put(kind="gone"), "recomputed: proposal learning_rate of Steers"),
    "a proposal that was never made": ("finding", put(kind="proposal", action="stop", severity="", name=None, verdict="advised", number=None), "proposal stop of"),
    "a kinder outcome": ("outcome", put(label="no better"), "label 'no better' is '"),
    "a rollback to elsewhere": ("rollback", put(to_step=7), "step 23: rollback of Steers: to_step 7 is 20"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "edit", "sentence"), EDITS.values(), ids=list(EDITS))
def test_a_journal_that_was_edited_is_found_out(tmp_path, kind, edit, sentence):
    """Each difference is told with its step, what the journal has and what comes out; the command exits 1."""
    Training(tmp_path, config()).go(45).end()
    edited(tmp_path, kind, edit)

    ran = CliRunner().invoke(main, ["replay", str(tmp_path), "--verify"])

    assert ran.exit_code == 1
    assert sentence.lower() in ran.stdout.replace("test-verifying:", "").lower()
    as_object = json.loads(CliRunner().invoke(main, ["replay", str(tmp_path), "--verify", "--json"]).stdout)
    assert len(as_object["differences"]) > 0


@pytest.mark.parametrize("broken", ["raises", "ignores"])
def test_a_write_that_failed_fails_again(tmp_path, broken):
    """A setter that raises, or does nothing, is no difference: what follows from it comes out too."""
    Training(tmp_path, config(), broken=broken).go().end()
    verdicts = [line["verdict"] for line in lines_of(tmp_path) if line.get("hyperparameter") == "smoothing" and line["kind"] == "proposal"]  # fmt: skip
    assert verdicts == ["failed", "refused", "refused"]

    assert verify(tmp_path).differences == ()


def test_what_a_person_said_is_heard_again(tmp_path):
    """Approved, switched off, on again and reverted: a run in `ask` comes out as it was."""
    place = tmp_path / "steersman"
    before = {
        18: lambda: control.ask(place, "approve", number=1),
        26: lambda: [control.ask(place, "approve", number=n) for n in range(2, 9)],
        36: lambda: control.switch(place, off=True),
        42: lambda: control.switch(place, off=False),
        47: lambda: control.ask(place, "revert"),
    }
    Training(tmp_path, config(mode="ask"), before=before).go().end()
    lines = lines_of(tmp_path)
    assert {"waiting", "applied", "expired", "advised"} <= {line.get("verdict") for line in lines}
    assert len([line for line in lines if line["kind"] == "control"]) >= 4

    assert verify(tmp_path).differences == ()


@pytest.mark.parametrize("at", [20, 23, 25, 27, 42])
def test_a_resumed_run_is_recomputed_as_one(tmp_path, at):
    """Killed some steps after a save and resumed from it: what was superseded is not compared, the rest is the same."""
    first = Training(tmp_path, config()).go(at)
    state = first.loop.state_dict()
    first.begun = at
    first.go(at + 4).loop._detach()
    Training(tmp_path, config(), state=state).go().end()

    assert verify(tmp_path).differences == ()


def test_resumed_with_another_config_only_what_came_before_is_recomputed(tmp_path):
    """The step is said from which on the journal follows another config."""
    first = Training(tmp_path, config()).go(32)
    state = first.loop.state_dict()
    first.loop._detach()
    Training(tmp_path, config(check_every=7), state=state).go().end()

    told = verify(tmp_path)

    assert (told.differences, told.until) == ((), 32)
    ran = CliRunner().invoke(main, ["replay", str(tmp_path), "--verify"])
    assert (ran.exit_code, "From step 32 on" in ran.stdout) == (0, True)


def test_without_a_journal_there_is_nothing_to_verify(tmp_path):
    """A trainer_state.json holds no decisions; the error says so."""
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": [{"step": 1, "loss": 1.0}], "max_steps": 1}))

    with pytest.raises(UnreadableRun, match="it has no journal"):
        verify(path)


def test_a_config_that_cannot_be_loaded_here(tmp_path):
    """A strategy that was handed over in Python is gone with its process: that is said, and nothing is compared."""
    Training(tmp_path, config(use=[Steers()])).go(10).end()

    with pytest.raises(UnreadableRun, match="was given as a Python object"):
        verify(tmp_path)


def test_a_strategy_whose_file_is_gone(tmp_path):
    """A config that cannot be loaded here is told with the reason."""
    own = tmp_path / "own.py"
    own.write_text("import steersman\n\n\nclass Own:\n    @steersman.hookimpl\n    def on_log(self): ...\n")
    Training(tmp_path, config(use=["eval-loss", f"{own}:Own"])).go(10).end()
    own.unlink()

    with pytest.raises(UnreadableRun, match="its own config cannot be loaded here"):
        verify(tmp_path)


def test_it_takes_no_other_config(tmp_path):
    """`--verify` beside `--config` is refused: only the run's own can be verified."""
    ran = CliRunner().invoke(main, ["replay", str(tmp_path), "--verify", "--set", "kl_penalty=1"])

    assert ran.exit_code != 0
    assert "--verify uses the run's own config and values" in ran.stderr


EFFECTS = """
from typing import ClassVar
from attrs import define
from steersman import Score, hookimpl


@define(eq=False)
class Posts:
    effects: ClassVar[bool] = True

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score(checkpoint.metrics["eval_loss"] + 1)
"""


def test_a_run_with_effects_is_verified_with_them(tmp_path):
    """A scorer that acts outside the run is asked again only when told to; without that, nothing false is told."""
    (tmp_path / "posts.py").write_text(EFFECTS)
    Training(tmp_path, config(use=[f"{tmp_path / 'posts.py'}:Posts", "eval-loss"])).go().end()

    with pytest.raises(UnreadableRun, match="Posts acts outside the run, and decided; --effects asks it"):
        verify(tmp_path)
    told = verify(tmp_path, effects=True)
    assert (told.decisions > 5, told.differences) == (True, ())
    said = CliRunner().invoke(main, ["replay", str(tmp_path), "--verify", "--effects"])
    assert (said.exit_code, "all the same" in said.output) == (0, True)


@pytest.mark.parametrize("killed_at", [44, 47, 50])
def test_a_run_that_was_killed(tmp_path, killed_at):
    """A journal without an end is recomputed without a last check, wherever the run was killed."""
    Training(tmp_path, config()).go(killed_at)  # and nobody ends it
    assert not any(line["kind"] == "end" for line in lines_of(tmp_path))

    told = verify(tmp_path)

    assert told.decisions > 5
    assert told.differences == ()
    assert not any(entry.data["reason"] == "end" for entry in steersman.replay(tmp_path).of("check"))
