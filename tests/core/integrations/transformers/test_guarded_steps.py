"""A real Trainer whose steps are guarded: one NaN batch, accumulation, and a resume."""

from __future__ import annotations

import math

import pytest
from attrs import define
from transformers import TrainerCallback

import steersman
from steersman import StepGuard, hookimpl


@define(eq=False)
class Guards:
    """Asks for a guard."""

    guard: object = StepGuard(clip_multiple=5.0, skip_multiple=50.0)

    @hookimpl
    def guard_steps(self, run):
        return self.guard


def spoil(trainer, calls):
    """Make the loss of some training forwards NaN, counted from 1."""
    seen = 0

    def after(module, args, output):
        nonlocal seen
        seen += module.training
        if module.training and seen in calls:
            output.loss = output.loss * math.nan
        return output

    trainer.model.register_forward_hook(after)


def supervised(make_trainer, act, name, *, mode="act", use=(), nan_at=(), **settings):
    trainer = make_trainer(name=name, **settings)
    steersman.supervise(trainer, act(*use, Guards(), mode=mode))
    spoil(trainer, nan_at)
    return trainer


def is_finite(trainer):
    return all(bool(p.isfinite().all()) for p in trainer.model.parameters())


def counted(journal, trainer):
    """The counts of each training log, by its step."""
    names = ("steps_skipped", "steps_clipped", "steps_excused")
    logs = [e for e in journal(trainer, "record") if e.data["of"] == "train"]
    return {e.step: tuple(int(e.data["metrics"].get(n, 0)) for n in names) for e in logs}


def test_a_training_survives_a_nan_batch(make_trainer, act, journal):
    """The NaN of step 6 reaches no weight, rings no alarm, and is counted in the journal and the Trainer's own log."""
    settings = {"nan_at": (6,), "use": ("recovery",), "max_grad_norm": 0.0}
    guarded = supervised(make_trainer, act, "guarded", **settings)
    guarded.train()
    alone = make_trainer(name="alone")
    spoil(alone, (6,))
    alone.train()

    assert (is_finite(guarded), is_finite(alone)) == (True, False)
    assert counted(journal, guarded) == {step: ((1, 0, 1) if step == 6 else (0, 0, 0)) for step in range(2, 13, 2)}
    assert [log["steps_skipped"] for log in guarded.state.log_history if "grad_norm" in log] == [0, 0, 1, 0, 0, 0]
    assert journal(guarded, "rollback", "error") == []
    assert {entry.data["reason"] for entry in journal(guarded, "check")} == {"scheduled", "end"}


def test_one_of_several_accumulated_batches_spoils_the_step(make_trainer, act, journal):
    """A step over two batches is looked at once, with both: the NaN of batch 5 skips step 3. 12 steps are 24 batches."""
    settings = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "logging_steps": 1}
    trainer = supervised(make_trainer, act, "run", nan_at=(5,), **settings)
    trainer.train()

    assert is_finite(trainer)
    assert [step for step, (skipped, _, _) in counted(journal, trainer).items() if skipped] == [3]


def test_advice_changes_nothing(make_trainer, act, everything, assert_same, journal):
    """In `advise` a run with a guard that would clip every step ends bit for bit as one without, and counts them."""
    advised = make_trainer(name="advised")
    steersman.supervise(advised, act(Guards(StepGuard(clip=1e-6)), mode="advise"))
    advised.train()
    alone = make_trainer(name="alone")
    alone.train()

    assert_same(everything(advised), everything(alone), ("parameters", "torch", "python", "numpy"))
    assert set(counted(journal, advised).values()) == {(0, 2, 0)}


@pytest.mark.slow
def test_a_resumed_run_guards_as_the_straight_one(make_trainer, act, journal, everything, assert_same):
    """Cut at step 8, it has the same weights, counts and findings in the end."""
    settings = {"nan_at": (6,), "logging_steps": 1, "max_grad_norm": 0.0}
    use = ("recovery",)
    straight = supervised(make_trainer, act, "straight", use=use, **settings)
    straight.train()
    cut = supervised(make_trainer, act, "cut", use=use, **settings)
    cut.add_callback(_Stop())
    cut.train()
    resumed = supervised(make_trainer, act, "cut", use=use, **{**settings, "nan_at": ()})
    resumed.train(resume_from_checkpoint=f"{resumed.args.output_dir}/checkpoint-8")

    assert_same(everything(straight), everything(resumed), ("parameters",))
    assert counted(journal, straight) == counted(journal, resumed)
    found = [[(e.step, e.kind, e.data.get("name")) for e in journal(t, "finding", "proposal")] for t in (straight, resumed)]
    assert found[0] == found[1]


class _Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step == 8
