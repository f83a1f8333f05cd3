"""Tokens, time and budgets of real trainings with the Trainer, straight and resumed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from transformers import Trainer, TrainerCallback

import steersman
from steersman import replay

QUIET: dict[str, Any] = {"console": False, "use": ["eval-loss"]}
TOKENS_OF_A_STEP = 8 * 16


class _Interrupt(TrainerCallback):
    """Ends the run at the begin of a step, as a preempted job is ended."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


class _Slow(Trainer):
    """An evaluation that takes 0.3 s more, and a save that takes 0.2 s more."""

    def evaluation_loop(self, *args, **kwargs):
        time.sleep(0.3)
        return super().evaluation_loop(*args, **kwargs)

    def _save_checkpoint(self, *args, **kwargs):
        time.sleep(0.2)
        return super()._save_checkpoint(*args, **kwargs)


def tokens_of(trainer: Any, journal: Any) -> Any:
    return journal(trainer, "end")[-1].data["tokens"]


def test_evaluation_and_checkpoints_are_told_apart_from_training(make_trainer, journal):
    """Three evaluations of 0.3 s more and three saves of 0.2 s more are seen as such, and are part of the whole."""
    trainer = make_trainer(kind=_Slow, save_steps=4)
    steersman.supervise(trainer, QUIET)

    trainer.train()

    told = tokens_of(trainer, journal)
    assert 0.9 <= told["spent"]["evaluation"] < told["elapsed"]
    assert 0.6 <= told["spent"]["checkpointing"] < told["elapsed"]
    assert told["spent"]["evaluation"] + told["spent"]["checkpointing"] < told["elapsed"]
    assert told["backpropagation"]["seconds"] < told["elapsed"] - 1.5


def test_a_resumed_run_counts_no_token_twice_and_loses_none(make_trainer, journal):
    """Interrupted at step 11, resumed from step 8: the tokens of twelve steps, with or without a log at the save."""
    for name, logging_steps in (("aligned", 2), ("between", 3)):
        for callbacks in ([_Interrupt(11)], []):
            trainer = make_trainer(name=name, callbacks=callbacks, logging_steps=logging_steps)
            steersman.supervise(trainer, QUIET)
            if callbacks:
                with pytest.raises(KeyboardInterrupt):
                    trainer.train()
            else:
                trainer.train(resume_from_checkpoint=True)

        told = tokens_of(trainer, journal)["backpropagation"]
        assert (told["tokens"], told["samples"]) == (12 * TOKENS_OF_A_STEP, 12 * 8)


def test_what_a_restart_cost_is_told(make_trainer, journal):
    """Interrupted at step 11 after a checkpoint at 8, and resumed 0.5 s later: steps 9 to 11 were made again."""
    first = make_trainer(callbacks=[_Interrupt(11)])
    steersman.supervise(first, QUIET)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    time.sleep(0.5)
    second = make_trainer()
    steersman.supervise(second, QUIET)

    second.train(resume_from_checkpoint=True)

    told = tokens_of(second, journal)
    assert told["spent"]["down"] >= 0.5
    assert 0 < told["spent"]["redone"] < told["elapsed"]


def test_a_run_that_ended_and_goes_on_lost_nothing(make_trainer, journal):
    """Six epochs instead of three, begun where the first three ended: there was no restart."""
    first = make_trainer(save_steps=12)
    steersman.supervise(first, QUIET)
    first.train()
    second = make_trainer(num_train_epochs=6)
    steersman.supervise(second, QUIET)

    second.train(resume_from_checkpoint=True)

    told = tokens_of(second, journal)
    assert not {"redone", "down"} & set(told["spent"])
    assert told["backpropagation"]["tokens"] == 24 * TOKENS_OF_A_STEP


def test_a_token_budget_ends_the_run_with_a_checkpoint(make_trainer, journal, tmp_path):
    """A budget of five steps' tokens, logs at every second step: spent at step 6, stopped and saved at step 7."""
    trainer = make_trainer(save_strategy="no")
    steersman.supervise(trainer, QUIET | {"budget": {"tokens": 5 * TOKENS_OF_A_STEP}})

    trainer.train()

    [told] = journal(trainer, "budget")
    assert (told.step, told.data["taken"], trainer.state.global_step) == (6, 6 * TOKENS_OF_A_STEP, 7)
    assert (tmp_path / "run" / "checkpoint-7" / "model.safetensors").is_file()
    [begin] = journal(trainer, "run")
    assert "budget: 640 tokens trained on; the run stops with a checkpoint there" in begin.data["preflight"]


def test_a_token_budget_is_seen_without_logs(make_trainer, journal, tmp_path):
    """Five steps' tokens, and no log, evaluation or save: seen at step 10, stopped with a checkpoint at step 11."""
    trainer = make_trainer(logging_steps=1000, eval_strategy="no", save_strategy="no")
    steersman.supervise(trainer, QUIET | {"budget": {"tokens": 5 * TOKENS_OF_A_STEP}})

    trainer.train()

    [told] = journal(trainer, "budget")
    assert (told.step, told.data["taken"], trainer.state.global_step) == (10, 10 * TOKENS_OF_A_STEP, 11)
    assert (tmp_path / "run" / "checkpoint-11").is_dir()
    assert tokens_of(trainer, journal)["backpropagation"]["tokens"] == 11 * TOKENS_OF_A_STEP


@pytest.mark.parametrize("logging_steps", [1, 5, 1000])
def test_an_epoch_holds_its_own_tokens_whenever_they_are_logged(make_trainer, journal, logging_steps):
    """Three epochs of four steps, with a log at each step, at steps 5 and 10, or none but the last: a third each."""
    trainer = make_trainer(logging_steps=logging_steps, eval_strategy="no")
    steersman.supervise(trainer, QUIET)

    trainer.train()

    lines = tokens_of(trainer, journal)["backpropagation"]["epochs"]
    assert [(line["epoch"], line["tokens"], line["samples"]) for line in lines] == [
        (epoch, 4 * TOKENS_OF_A_STEP, 32) for epoch in (1, 2, 3)
    ]


def test_a_run_resumed_from_its_end_is_replayed_with_the_same_ledgers(make_trainer, journal):
    """Logs at steps 5 and 10 of 12, a save at 12, then 24 steps: steps 11 and 12 are in the checkpoint, and once only."""
    for epochs in (3, 6):
        trainer = make_trainer(num_train_epochs=epochs, logging_steps=5, save_steps=12)
        steersman.supervise(trainer, QUIET)
        trainer.train(resume_from_checkpoint=epochs == 6)

    [end] = replay(trainer.args.output_dir, QUIET).of("end")

    live = tokens_of(trainer, journal)["backpropagation"]
    assert live["tokens"] == 24 * TOKENS_OF_A_STEP
    assert end.data["tokens"]["backpropagation"] == live
    assert [line["tokens"] for line in live["epochs"]] == [4 * TOKENS_OF_A_STEP] * 6


def test_a_spent_budget_stops_a_resumed_run_until_it_is_raised(make_trainer, journal, tmp_path):
    """Resumed with the same budget the run ends after a step and saves nothing; with a larger one it goes on."""
    config = QUIET | {"budget": {"tokens": 5 * TOKENS_OF_A_STEP}}
    for resume in (None, True):
        trainer = make_trainer(save_strategy="no")
        steersman.supervise(trainer, config)
        trainer.train(resume_from_checkpoint=resume)
    again = trainer.state.global_step, [path.name for path in (tmp_path / "run").glob("checkpoint-*")]
    raised = make_trainer()
    steersman.supervise(raised, QUIET | {"budget": {"tokens": 10_000}})

    raised.train(resume_from_checkpoint=True)

    assert again == (8, ["checkpoint-7"])
    assert raised.state.global_step == 12
    assert tokens_of(raised, journal)["backpropagation"]["tokens"] == 12 * TOKENS_OF_A_STEP


def test_a_time_budget_is_seen_between_logs(make_trainer, journal):
    """Steps of 0.2 s and a single log at the end: half a second is spent after three steps, not at the log."""

    class Sleepy(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            time.sleep(0.2)

    trainer = make_trainer(callbacks=[Sleepy()], logging_steps=1000, eval_strategy="no")
    steersman.supervise(trainer, QUIET | {"budget": {"hours": 0.5 / 3600}})

    trainer.train()

    [told] = journal(trainer, "budget")
    assert told.data["budget"] == "hours"
    assert 2 <= told.step <= 5 and trainer.state.global_step <= 6


def test_a_replay_of_the_journal_comes_to_the_same_ledgers(make_trainer, journal):
    """Interrupted, resumed and ended: the journal's records alone give the tokens and the time told apart."""
    first = make_trainer(callbacks=[_Interrupt(11)], logging_steps=3)
    steersman.supervise(first, QUIET)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(logging_steps=3)
    steersman.supervise(second, QUIET)
    second.train(resume_from_checkpoint=True)

    [end] = replay(second.args.output_dir, QUIET).of("end")

    live = tokens_of(second, journal)
    assert end.data["tokens"]["backpropagation"] == live["backpropagation"]
    assert end.data["tokens"]["spent"] == live["spent"]
