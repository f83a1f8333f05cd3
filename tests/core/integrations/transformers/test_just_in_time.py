"""A checkpoint that the Trainer saves in the middle of a step, because the machine is taken away."""

from __future__ import annotations

import json
import runpy
import signal
from pathlib import Path

import pytest
import torch
from attrs import define
from transformers import GPT2Config, GPT2LMHeadModel, Trainer
from transformers.trainer_jit_checkpoint import JITCheckpointCallback

import steersman
from steersman import Adjust, hookimpl
from steersman.readers.journal import current
from steersman.verifying import verify

DECISIONS = ("score", "finding", "proposal", "adjustment", "outcome")


@define(eq=False)
class Steers:
    """Cuts at some checks and raises at others."""

    @hookimpl
    def propose_adjustments(self, check):
        return Adjust("learning_rate", scale=0.7 if check.step % 6 < 3 else 1.3, because=f"step {check.step}")


CONFIG = {
    "mode": "act",
    "use": ["eval-loss", "trend-health", "token-accounting", Steers()],
    "check_every": 1,
    "hyperparameters": {"learning_rate": {}},
    "rails": {"warmup": True, "last_share": 0.0},
    "outcomes": {"judge_after": 2, "release_after": 2},
    "console": False,
}


class Taken(Trainer):
    """Asks for the checkpoint, as the signal does, in the forward of the given step: it is saved before that step."""

    at = -1

    def training_step(self, *args, **kwargs):
        loss = super().training_step(*args, **kwargs)
        if self.state.global_step == self.at:
            manager = next(
                c for c in self.callback_handler.callbacks if isinstance(c, JITCheckpointCallback)
            ).jit_manager
            manager.is_checkpoint_requested = True
        return loss


def model():
    """A tiny GPT-2 without dropout: the step that was cut drew random numbers that the resumed run draws again."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 256, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(GPT2Config(**sizes, **none, bos_token_id=0, eos_token_id=0, loss_type="ForCausalLMLoss"))


def decided(entries):
    return [
        (e.kind, e.step, json.dumps(e.data, default=str, sort_keys=True))
        for e in entries
        if e.kind in DECISIONS and e.data.get("name") != "token-ledger"
    ]


@pytest.fixture
def handler():
    """Put back the handler of SIGTERM, which a Trainer that was cut leaves changed."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


ACCUMULATED = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}


@pytest.mark.parametrize(
    ("at", "layout"),
    [([5], {}), ([5, 6], {}), ([3, 8], ACCUMULATED)],
    ids=["once", "twice in a row", "with steps between, accumulating"],
)
def test_resumed_from_the_middle_of_a_step(
    make_trainer, journal, everything, assert_same, rates_used, handler, at, layout
):
    """Saved between backward and step: the resumed run is the straight one, in decisions, rates, weights and tokens."""
    settings = {
        "logging_steps": 1, "save_strategy": "no", "eval_steps": 3, "enable_jit_checkpoint": True, **layout,
    }  # fmt: skip
    straight = make_trainer(name="straight", model=model(), **settings)
    steersman.supervise(straight, CONFIG)
    straight.train()
    told, rates, rates_used[:] = everything(straight), list(rates_used), []
    assert len(journal(straight, "adjustment")) > 3

    for step in [*at, -1]:
        resumed = make_trainer(name="resumed", model=model(), kind=Taken, **settings)
        resumed.at = step
        callback = steersman.supervise(resumed, CONFIG)
        resumed.train(resume_from_checkpoint=step != at[0])
        assert (Path(resumed.args.output_dir) / f"checkpoint-{step}").exists() == (step >= 0)

    assert rates_used[-2 * (12 - at[-1]) :] == rates[2 * at[-1] :]
    assert_same(everything(resumed), told, ("parameters",))
    assert decided(journal(resumed)) == decided(journal(straight))
    ledgers = [
        next(e.data["evidence"] for e in journal(t, "finding") if e.data["name"] == "token-ledger")
        for t in (straight, resumed)
    ]
    assert ledgers[0]["backpropagation_tokens"] == 12 * 8 * 16
    assert [x["backpropagation_tokens"] for x in ledgers] == [12 * 8 * 16] * 2
    assert callback.summary["changes"] == len(journal(straight, "adjustment"))
    factors = json.loads((Path(resumed.args.output_dir) / f"checkpoint-{at[-1]}" / "steersman.json").read_text())
    assert factors["step"] == at[-1]


def test_the_run_that_was_cut_verifies(make_trainer, handler):
    """Decisions made at the step of such a checkpoint are kept in the journal, and come out again."""
    config = {**CONFIG, "use": ["eval-loss", "trend-health", f"{__file__}:Steers"]}
    settings = {"logging_steps": 1, "save_strategy": "no", "eval_steps": 3, "enable_jit_checkpoint": True}
    for step in (6, -1):
        trainer = make_trainer(model=model(), kind=Taken, **settings)
        trainer.at = step
        steersman.supervise(trainer, config)
        trainer.train(resume_from_checkpoint=step < 0)

    told = verify(Path(trainer.args.output_dir))
    assert (told.differences, told.until) == ((), None)
    assert told.decisions > 12


SCRIPT = """
import os, signal, sys, time
import torch
torch.set_num_threads(1)
from pydoc_data.topics import topics
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
import steersman

text = "".join(topics[name] for name in sorted(topics)).encode()
ids = torch.tensor(list(text[: 40 * 16])).view(40, 16)
rows = [{"input_ids": row, "labels": row} for row in ids]
torch.manual_seed(0)
config = GPT2Config(vocab_size=256, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0,
    resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, loss_type="ForCausalLMLoss")

class Signal(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3 and HOW == "cut":
            os.kill(os.getpid(), signal.SIGTERM)
        if state.global_step >= 3 and HOW == "cut":
            time.sleep(0.4)

arguments = TrainingArguments(FOLDER, per_device_train_batch_size=8, max_steps=40, logging_steps=1, eval_strategy="steps",
    eval_steps=5, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, enable_jit_checkpoint=True, seed=0)
trainer = Trainer(GPT2LMHeadModel(config), arguments, train_dataset=rows[:32], eval_dataset=rows[32:], callbacks=[Signal()])
steersman.supervise(trainer, {"mode": "act", "use": ["eval-loss", {"trend-health": {"preset": "seed"}}, "token-accounting"],
    "hyperparameters": {"learning_rate": {"min": 1e-7}, "max_grad_norm": {"min": 0.1}}, "console": False})
trainer.train(resume_from_checkpoint=HOW == "resume")
torch.save(trainer.model.state_dict(), FOLDER + "/model.pt")
"""


@pytest.mark.slow
def test_a_real_signal(tmp_path, imported):
    """SIGTERM in the midst of a run: it saves, ends, and the requeued run ends with the weights of one left alone."""
    script = tmp_path / "train.py"

    def run(name, how):
        script.write_text(f"HOW, FOLDER = {how!r}, {str(tmp_path / name)!r}\n{SCRIPT}")
        process = imported.Process(target=runpy.run_path, args=(str(script),), kwargs={"run_name": "__main__"})
        process.start()
        process.join(200)
        assert process.exitcode == 0

    run("straight", "straight")
    run("cut", "cut")
    (checkpoint,) = (tmp_path / "cut").glob("checkpoint-*")
    assert 3 < int(checkpoint.name.removeprefix("checkpoint-")) < 40
    run("cut", "resume")

    one, other = (torch.load(tmp_path / name / "model.pt") for name in ("straight", "cut"))
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    told = [decided(current(tmp_path / name / "steersman" / "journal.jsonl")) for name in ("straight", "cut")]
    assert told[0] == told[1]
