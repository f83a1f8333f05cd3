"""A run that was interrupted and resumed decides as the straight one."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from attrs import define
from transformers import TrainerCallback

import steersman
from steersman import state
from steersman.journal import read

DECISIONS = ("score", "finding", "proposal", "adjustment")


class _Fault(TrainerCallback):
    """Makes the loss spike for real: at steps 6 and 7 the weights are pushed around."""

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step in (6, 7):
            for parameter in model.parameters():
                parameter.data.mul_(3.0)


class _Interrupt(TrainerCallback):
    """Kills the run at a step, as a user does who presses Ctrl-C."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@pytest.fixture
def seed(cut):
    """The origin's system at work: it acts, with the preset `seed`, and one change that comes before the interruption."""
    use = ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}, "token-accounting", cut(at=(2, 4))]
    allowed = {"learning_rate": {"min": 1e-7}, "max_grad_norm": {"min": 0.1}}
    return {"mode": "act", "extends": "no-rails", "use": use, "hyperparameters": allowed, "console": False}


def _interrupted(make_trainer, config, *, at, resume=True, supervised_from_start=True, **settings):
    first = make_trainer(name="resumed", callbacks=[_Fault(), _Interrupt(at)], **settings)
    if supervised_from_start:
        steersman.supervise(first, config)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(name="resumed", callbacks=[_Fault()], **settings)
    callback = steersman.supervise(second, config)
    second.train(resume_from_checkpoint=resume)
    return second, callback


def _decided(entries, after=0):
    told = []
    for e in entries:
        if e.kind in DECISIONS and e.step >= after and e.data.get("name") != "token-ledger":
            told.append((e.kind, e.step, dict(e.data)))
    return told


LAYOUTS = {
    "every 4 steps": {},
    "logs that do not meet the saves": {"logging_steps": 3, "eval_steps": 2},
    "by epoch": {"logging_strategy": "epoch", "eval_strategy": "epoch", "save_strategy": "epoch"},
    "a cosine in mid-epoch": {"lr_scheduler_type": "cosine", "eval_steps": 3, "save_steps": 3},
}


@pytest.mark.parametrize(("at", "restore"), [(7, True), (10, False)], ids=["early, restoring callbacks", "late"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_a_resumed_run_is_the_straight_one(
    make_trainer, seed, journal, everything, assert_same, rates_used, layout, at, restore
):
    """Interrupted before the next save and resumed: same decisions, same rates, same parameters and random states."""
    settings = {**layout, "restore_callback_states_from_checkpoint": restore}
    straight = make_trainer(name="straight", callbacks=[_Fault()], **settings)
    steersman.supervise(straight, seed)
    straight.train()
    told, rates, rates_used[:] = everything(straight), list(rates_used), []

    resumed, _ = _interrupted(make_trainer, seed, at=at, **settings)

    saved_at = at - 1 - (at - 1) % int(straight.args.save_steps if layout.get("save_steps") else 4)
    assert rates_used == rates[: 2 * at] + rates[2 * saved_at :]
    assert_same(everything(resumed), told, ("parameters", "torch", "python", "numpy"))
    assert _decided(journal(resumed)) == _decided(journal(straight))
    changes = [e.step for e in journal(straight, "adjustment")]
    assert min(changes) <= saved_at, "no change before the checkpoint, so this shows little"
    assert at == 10 or max(changes) > saved_at, "no change after the checkpoint, so this shows little"
    assert [e for e in journal(resumed, "run") if e.data["resumed"]][0].step == saved_at


def test_the_history_is_the_straight_one(make_trainer, seed, everything):
    """Every log of the resumed run is that of the straight one, apart from the summary of the session."""
    straight = make_trainer(name="straight", callbacks=[_Fault()])
    steersman.supervise(straight, seed)
    straight.train()

    resumed, _ = _interrupted(make_trainer, seed, at=7)

    assert everything(resumed)["logs"][:-1] == everything(straight)["logs"][:-1]


def test_a_strategy_goes_on_where_it_was(make_trainer, act, listener):
    """What a strategy heard up to a save without an evaluation, the log forced there included, it has after a resume."""
    settings = {"eval_strategy": "no", "logging_steps": 5}
    straight, resumed = listener(), listener()
    trainer = make_trainer(name="straight", **settings)
    steersman.supervise(trainer, act(straight))
    trainer.train()
    assert straight.heard == [4, 5, 8, 10, 12, 12]

    first = make_trainer(name="resumed", callbacks=[_Interrupt(10)], **settings)
    steersman.supervise(first, act(listener()))
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(name="resumed", **settings)
    steersman.supervise(second, act(resumed))
    second.train(resume_from_checkpoint=True)

    assert resumed.heard == straight.heard


@define(eq=False)
class _Listener:
    heard: list[int] = state([])

    @steersman.hookimpl
    def on_log(self, run, log):
        self.heard.append(log.step)


@pytest.fixture
def listener():
    """A strategy that remembers the steps of the logs it heard, in its state."""
    return _Listener


def test_values_set_before_are_set_again(make_trainer, act, journal):
    """max_grad_norm, which the Trainer forgets, is at its changed value after the resume, and the user's in the end."""

    class Lower:
        @steersman.hookimpl
        def propose_adjustments(self, run, check):
            return steersman.Adjust("max_grad_norm", scale=0.5, because="a test") if check.step == 4 else None

    seen = []

    class Sees(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append((state.global_step, args.max_grad_norm))

    config = act(Lower(), hyperparameters={"max_grad_norm": {}})
    first = make_trainer(callbacks=[_Interrupt(10)])
    steersman.supervise(first, config)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make_trainer(callbacks=[Sees()])
    steersman.supervise(second, config)
    second.train(resume_from_checkpoint=True)

    assert seen == [(step, 0.5) for step in (9, 10, 11, 12)]
    assert second.args.max_grad_norm == 1.0


@pytest.mark.parametrize("restore", [False, True], ids=["", "restore_callback_states"])
def test_a_checkpoint_of_an_unsupervised_run(make_trainer, seed, journal, restore):
    """A checkpoint made before Steersman was attached is resumed; what came before is not ranked, and that is said."""
    resumed, _ = _interrupted(
        make_trainer, seed, at=5, supervised_from_start=False, restore_callback_states_from_checkpoint=restore
    )

    begin = journal(resumed, "run")[0]
    assert (begin.step, begin.data["resumed"]) == (4, True)
    assert any("saved without Steersman" in sentence for sentence in begin.data["preflight"])
    assert {e.step for e in journal(resumed, "score")} == {8, 12}
    assert resumed.state.global_step == 12
    carried = json.loads((Path(resumed.args.output_dir) / "checkpoint-12" / "trainer_state.json").read_text())
    assert "steersman" in carried["stateful_callbacks"]


def test_a_supervised_checkpoint_goes_on_unsupervised(make_trainer, seed):
    """A checkpoint of a supervised run is resumed by a Trainer without Steersman, at the user's own rate."""
    first = make_trainer(callbacks=[_Interrupt(10)], lr_scheduler_type="constant", logging_steps=1)
    steersman.supervise(first, seed)
    with pytest.raises(KeyboardInterrupt):
        first.train()

    second = make_trainer(lr_scheduler_type="constant", logging_steps=1)
    second.train(resume_from_checkpoint=True)

    assert [e["learning_rate"] for e in second.state.log_history if e["step"] > 8 and "loss" in e] == [1e-3] * 4


def test_a_torn_last_line_is_cut(make_trainer, seed):
    """A journal whose last line a kill tore is cut to whole lines by the resume, and goes on in the same file."""
    first = make_trainer(callbacks=[_Interrupt(7)])
    steersman.supervise(first, seed)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    path = Path(first.args.output_dir) / "steersman" / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v": 1, "kind": "score", "st')

    second = make_trainer()
    steersman.supervise(second, seed)
    second.train(resume_from_checkpoint=True)

    after = path.read_bytes()
    assert after.startswith(whole)
    lines = [json.loads(line) for line in after.decode().splitlines()]
    assert (lines[whole.count(b"\n")]["kind"], lines[whole.count(b"\n")]["resumed"]) == ("run", True)
    assert len(list(read(path))) == len(lines)


@pytest.mark.parametrize("mode", ["advise", "act"])
def test_tokens_and_duration_add_up(make_trainer, journal, mode):
    """Resumed from step 8, the ledger holds all twelve steps of tokens, and the duration both sessions."""
    config = {"mode": mode, "console": False}
    settings = {"logging_steps": 5}
    resumed, callback = _interrupted(make_trainer, config, at=10, **settings)

    ledger = next(e.data["evidence"] for e in journal(resumed, "finding") if e.data["name"] == "token-ledger")
    assert ledger["backpropagation_tokens"] == 12 * 8 * 16
    assert ledger["backpropagation_samples"] == 12 * 8
    carried = json.loads((Path(resumed.args.output_dir) / "checkpoint-8" / "trainer_state.json").read_text())
    before = carried["stateful_callbacks"]["steersman"]["attributes"]["elapsed"]
    session = resumed.state.log_history[-1]["train_runtime"]
    assert 0 < before < ledger["duration_seconds"]
    assert ledger["duration_seconds"] == pytest.approx(before + session, abs=0.5)
    assert ledger["duration_seconds"] == callback.summary["elapsed"]


def test_random_is_not_drawn(make_trainer, seed):
    """Supervising and resuming draw nothing from Python's random state."""
    trainer = make_trainer(max_steps=4)
    random.seed(7)
    expected = random.Random(7).random()
    callback = steersman.supervise(trainer, seed)
    assert callback.session is None

    assert random.random() == expected
