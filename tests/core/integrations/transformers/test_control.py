"""A person speaks to a real run, and what was said or stopped outlives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import define
from click.testing import CliRunner
from transformers import TrainerCallback

import steersman
from steersman import Adjust, Save, Stop, hookimpl
from steersman.cli import main

DECISIONS = ("score", "finding", "proposal", "adjustment", "outcome", "restart", "control")


class Says(TrainerCallback):
    """Calls the command line at the end of the given steps."""

    def __init__(self, folder, **at):
        self.folder, self.at, self.heard = folder, {int(step[1:]): words for step, words in at.items()}, {}

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step in self.at:
            name, *rest = self.at[state.global_step].split()
            result = CliRunner().invoke(main, [name, str(self.folder), *rest], catch_exceptions=False)
            assert result.exit_code == 0, result.stderr
            self.heard[state.global_step] = result.stdout


class Interrupt(TrainerCallback):
    """Kills the run at the begin of a step."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@define(eq=False)
class Halves:
    """Wants the rate halved at every check."""

    @hookimpl
    def propose_adjustments(self, check):
        return Adjust("learning_rate", scale=0.5, because="each check")


@define(eq=False)
class Ends:
    """Wants the run stopped at step 4."""

    @hookimpl
    def propose_adjustments(self, check):
        return Stop("enough is learnt") if check.step == 4 else None


def config(*strategies, **settings):
    return {
        "extends": "no-rails",
        "mode": "act",
        "use": ["eval-loss", *strategies],
        "check_every": 2,
        "hyperparameters": {"learning_rate": {}},
        "console": False,
    } | settings


@pytest.fixture
def trained(make_trainer, tmp_path):
    """Return a function that trains twelve steps under a config, and says at the given steps what it is told."""

    def train(settings, *, resume=None, stop_at=None, callbacks=(), **said):
        says = Says(tmp_path / "run", **said)
        every = [says, *callbacks, *([Interrupt(stop_at)] if stop_at else ())]
        trainer = make_trainer(callbacks=every, lr_scheduler_type="constant")
        steersman.supervise(trainer, settings)
        if stop_at is None:
            trainer.train(resume_from_checkpoint=resume)
        else:
            with pytest.raises(KeyboardInterrupt):
                trainer.train(resume_from_checkpoint=resume)
        return trainer, says

    return train


def steps(rates):
    """Return the rate of each step in thousandths: the optimizer has two groups, which use the same."""
    assert rates[::2] == rates[1::2]
    return [rate * 1000 for rate in rates[::2]]


def test_approved_in_the_middle_of_a_run(trained, cut, rates_used):
    """Proposed at the check of step 4, listed and approved at step 5, made at the check of step 6."""
    _, says = trained(config(cut(), mode="ask"), s5="approve 1")

    assert steps(rates_used) == [1.0] * 6 + [0.5] * 6
    assert says.heard[5] == (
        "learning_rate 0.001 -> 0.0005 (-50.0 %) (cut: a test says so): approved, to be done at the next check\n"
    )


def test_what_nobody_approves_is_never_made(trained, cut, rates_used, journal):
    """Proposed, listed, expired."""
    trainer, says = trained(config(cut(), mode="ask"), s5="approve", s7="approve")

    assert steps(rates_used) == [1.0] * 12
    assert says.heard[5].startswith("1: learning_rate")
    assert says.heard[7] == "No proposal waits.\n"
    assert [e.data["verdict"] for e in journal(trainer, "proposal")] == ["waiting", "expired"]


def test_reverted_in_the_middle_of_a_run(trained, rates_used):
    """Halved at the checks of steps 2, 4 and 6; at that of step 8 the user's rate is back, and steering goes on."""
    trained(config(Halves()), s7="revert")

    assert steps(rates_used) == [1.0] * 2 + [0.5] * 2 + [0.25] * 2 + [0.125] * 2 + [1.0] * 2 + [0.5] * 2


def test_switched_off_and_on_in_the_middle_of_a_run(trained, rates_used):
    """What was changed stays in force while nothing more is."""
    trained(config(Halves()), s3="off", s9="on")

    assert steps(rates_used) == [1.0] * 2 + [0.5] * 8 + [0.25] * 2


def test_off_outlives_the_run(trained, rates_used, journal):
    """A run that was switched off, killed and resumed stays off."""
    trained(config(Halves()), s3="off", stop_at=9)
    trainer, _ = trained(config(Halves()), resume=True)

    assert steps(rates_used)[-4:] == [0.5] * 4
    last = [e for e in journal(trainer, "proposal") if e.step > 8]
    assert {(e.data["verdict"], "is there" in e.data["reason"]) for e in last if e.step < 12} == {("advised", True)}


def test_a_stop_ends_the_run_with_a_checkpoint_and_its_reason(trained, journal):
    """Stopped at the step after the check, with a whole checkpoint; the reason is in the journal and in the state."""
    trainer, _ = trained(config(Ends()))

    assert trainer.state.global_step == 5
    folder = Path(trainer.args.output_dir) / "checkpoint-5"
    assert {"model.safetensors", "optimizer.pt", "steersman.json"} <= {path.name for path in folder.iterdir()}
    kept = json.loads((folder / "trainer_state.json").read_text())["stateful_callbacks"]["steersman"]["attributes"]
    assert kept["stopped_because"] == "ends: enough is learnt"
    assert "the run stops: ends: enough is learnt" in [e.data["message"] for e in journal(trainer, "note")]
    assert [e.data["verdict"] for e in journal(trainer, "proposal")] == ["accepted"]


def test_a_stop_is_sticky_until_it_is_cleared(trained, journal):
    """Requeued, it stops again after one step and saves nothing new; cleared, it goes on to its end."""
    trained(config(Ends()))
    again, _ = trained(config(Ends()), resume=True)
    assert again.state.global_step == 6
    assert not (Path(again.args.output_dir) / "checkpoint-6").exists()
    assert any("it was stopped at step 5: ends" in said for said in journal(again, "run")[-1].data["preflight"])

    result = CliRunner().invoke(main, ["resume", "--clear", again.args.output_dir])
    assert "it may go on now" in result.stdout
    on, _ = trained(config(Ends()), resume=True)
    assert on.state.global_step == 12


def test_a_run_from_its_beginning_is_not_stopped_by_the_mark_of_another(trained, act, cut):
    """A new run in the same folder takes the mark away."""
    trained(config(Ends()))
    trainer, _ = trained(config(cut()))

    assert trainer.state.global_step == 12
    assert not (Path(trainer.args.output_dir) / "steersman" / "stopped.json").exists()


def test_a_save_is_made_at_the_next_step(trained, journal):
    """A checkpoint out of turn, and the run goes on."""

    @define(eq=False)
    class Saves:
        @hookimpl
        def propose_adjustments(self, check):
            return Save("a good moment") if check.step == 6 else None

    trainer, _ = trained(config(Saves()))

    assert (Path(trainer.args.output_dir) / "checkpoint-7" / "model.safetensors").exists()
    assert trainer.state.global_step == 12


def test_each_checkpoint_tells_its_factors(trained):
    """What optimizer.pt does not hold: factor and value of what was changed, at that very step."""
    trainer, _ = trained(config(Halves()))
    told = {
        step: json.loads((Path(trainer.args.output_dir) / f"checkpoint-{step}" / "steersman.json").read_text())
        for step in (4, 8, 12)
    }

    assert {step: t["hyperparameters"]["learning_rate"]["factor"] for step, t in told.items()} == {
        4: 0.5, 8: 0.125, 12: 0.03125,
    }  # fmt: skip
    assert [t["step"] for t in told.values()] == [4, 8, 12]


@pytest.mark.parametrize("logging_steps", [2, 5])
def test_steps_that_were_trained_without_steersman_are_noticed(make_trainer, journal, logging_steps):
    """Supervised to step 4, unsupervised to step 8, supervised again: it is said which steps had the user's values."""
    settings = {"logging_steps": logging_steps, "save_total_limit": 2}
    first = make_trainer(callbacks=[Interrupt(6)], **settings)
    steersman.supervise(first, config(Halves()))
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(callbacks=[Interrupt(10)], **settings)
    with pytest.raises(KeyboardInterrupt):
        second.train(resume_from_checkpoint=True)
    third = make_trainer(**settings)
    steersman.supervise(third, config(Halves()))
    third.train(resume_from_checkpoint=True)

    said = journal(third, "run")[-1].data["preflight"]
    assert "steps 5 to 8 were trained without Steersman, with the values of your own config" in said


@pytest.mark.parametrize("logging_steps", [3, 5])
@pytest.mark.parametrize("mode", ["advise", "act"])
def test_a_resume_with_steersman_is_no_such_thing(make_trainer, journal, mode, logging_steps):
    """Also where nothing was logged at the save, no step is said to have been trained without."""
    first = make_trainer(callbacks=[Interrupt(10)], logging_steps=logging_steps)
    steersman.supervise(first, config(Halves(), mode=mode))
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(logging_steps=logging_steps)
    steersman.supervise(second, config(Halves(), mode=mode))
    second.train(resume_from_checkpoint=True)

    assert not [said for said in journal(second, "run")[-1].data["preflight"] if "without Steersman" in said]


@define(eq=False)
class Steers:
    """Cuts at some checks and raises at others, so that there are outcomes, reverts, releases and cooldowns."""

    @hookimpl
    def propose_adjustments(self, check):
        scale = 0.7 if check.step % 8 < 4 else 1.4
        return [Adjust("learning_rate", scale=scale), Adjust("max_grad_norm", scale=1.0 / scale)]


RAILS = {
    "extends": "default",
    "use": ["eval-loss", "trend-health", Steers()],
    "hyperparameters": {"learning_rate": {"min_factor": 0.3, "max_factor": 1.5}, "max_grad_norm": {"cooldown": 2}},
    "rails": {"budget": 8, "warmup": True},
    "outcomes": {"judge_after": 2, "release_after": 2},
}


def decided(entries):
    return [
        (e.kind, e.step, json.dumps(e.data, default=str, sort_keys=True))
        for e in entries
        if e.kind in DECISIONS and e.data.get("name") != "token-ledger"
    ]


@pytest.mark.parametrize("at", [[10], [14, 19], [6, 7, 21]], ids=["once", "twice", "three times"])
def test_a_resumed_run_under_rails_is_the_straight_one(make_trainer, journal, everything, assert_same, rates_used, at):
    """Cooldowns, budget, what is judged, undone and released: same decisions, rates and parameters however often."""
    settings = {"num_train_epochs": 6, "eval_steps": 2, "save_steps": 4}
    straight = make_trainer(name="straight", **settings)
    steersman.supervise(straight, config(**RAILS))
    straight.train()
    told, rates, rates_used[:] = everything(straight), list(rates_used), []
    entries = journal(straight)
    assert {"outcome", "adjustment"} <= {e.kind for e in entries}
    assert {"steersman", "steers"} <= {e.data["strategy"] for e in entries if e.kind == "adjustment"}

    for step in [*at, None]:
        resumed = make_trainer(name="resumed", callbacks=[Interrupt(step)] if step else [], **settings)
        steersman.supervise(resumed, config(**RAILS))
        resume = (Path(resumed.args.output_dir) / "checkpoint-4").exists()
        if step is None:
            resumed.train(resume_from_checkpoint=True)
        else:
            with pytest.raises(KeyboardInterrupt):
                resumed.train(resume_from_checkpoint=resume)
    saved = at[-1] - at[-1] % 4

    assert rates_used[-2 * (24 - saved) :] == rates[2 * saved :]
    assert_same(everything(resumed), told, ("parameters", "torch", "python", "numpy"))
    assert decided(journal(resumed)) == decided(entries)
