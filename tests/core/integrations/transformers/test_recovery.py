"""Real runs that diverge, and go back."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

import steersman
from steersman.journal import read
from steersman.readers.journal import current
from steersman.verifying import verify

CONFIG = {
    "mode": "act",
    "use": ["eval-loss", "trend-health", "recovery"],
    "hyperparameters": {"learning_rate": {"min_factor": 0.25, "max_factor": 1.0}},
    "console": False,
}
AT = 150


class BrokenGradient(TrainerCallback):
    """A gradient is NaN at the given steps (counted from 0)."""

    def __init__(self, *at):
        self.at = at

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step in self.at or "always" in self.at:
            next(model.parameters()).grad.fill_(math.nan)


class Spike(TrainerCallback):
    """The learning rate is thirty times what it should be for ten steps."""

    def on_pre_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        self.rates = [group["lr"] for group in optimizer.param_groups]
        if AT <= state.global_step < AT + 10:
            for group in optimizer.param_groups:
                group["lr"] *= 30

    def on_optimizer_step(self, args, state, control, optimizer=None, **kwargs):
        for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate


class WrongLabels(Trainer):
    """Random labels for fifteen steps."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training and AT <= self.state.global_step < AT + 15:
            draws = torch.Generator().manual_seed(self.state.global_step)
            inputs = {**inputs, "labels": torch.randint(0, 256, inputs["labels"].shape, generator=draws)}
        return super().compute_loss(model, inputs, *args, **kwargs)


def journal_of(folder):
    return current(Path(folder) / "steersman" / "journal.jsonl")


def is_finite(model):
    return all(bool(p.isfinite().all()) for p in model.parameters())


@pytest.fixture
def broken(make_trainer):
    """Return a function that trains twelve steps with NaN gradients at the given steps."""

    def run(*at, config=None, **settings):
        trainer = make_trainer(callbacks=[BrokenGradient(*at)], lr_scheduler_type="constant", **settings)
        steersman.supervise(trainer, {**CONFIG, **(config or {})})
        trainer.train()
        return trainer

    return run


@pytest.mark.parametrize("hides", [True, False])
def test_a_broken_gradient_is_undone_within_two_steps(broken, rates_used, hides):
    """Whether or not the Trainer hides NaN from its log: found at the step, weights back before the next, half the rate."""
    trainer = broken(6, logging_steps=5, logging_nan_inf_filter=hides)
    entries = journal_of(trainer.args.output_dir)

    (back,) = [e for e in entries if e.kind == "rollback"]
    assert (back.step, back.data["to_step"], back.data["left"]) == (7, 4, 2)
    assert rates_used[::2] == [1e-3] * 7 + [5e-4] * 5
    assert is_finite(trainer.model)
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log and log["step"] > 10]
    assert all(math.isfinite(loss) for loss in losses)
    assert trainer.state.global_step == 12


def test_without_the_strategy_it_stays_broken(broken):
    """What the tests here show is Steersman's doing: with the same fault and no recovery all weights are NaN."""
    trainer = broken(6, config={"use": ["eval-loss"]})

    assert not is_finite(trainer.model)


def test_a_run_that_rolled_back_verifies(broken):
    """The rollback, its cut and what follows come out of the journal again."""
    trainer = broken(6, logging_steps=5)

    told = verify(Path(trainer.args.output_dir))
    assert told.differences == ()
    assert any(e.kind == "rollback" for e in journal_of(trainer.args.output_dir))


def test_after_the_last_rollback_it_stops_with_healthy_weights(broken):
    """Every gradient from step 7 on is NaN: two rollbacks, then a checkpoint of finite weights, and an explanation."""
    trainer = broken(6, 7, 8, 9, 10, 11, config={"recovery": {"max_rollbacks": 2}}, logging_steps=1)

    entries = journal_of(trainer.args.output_dir)
    assert [e.step for e in entries if e.kind == "rollback"] == [7, 8]
    stopped_at = trainer.state.global_step
    assert stopped_at == 10
    assert is_finite(trainer.model)
    saved = GPT2LMHeadModel.from_pretrained(Path(trainer.args.output_dir) / f"checkpoint-{stopped_at}")
    assert is_finite(saved)
    (said,) = [e.data["message"] for e in entries if e.kind == "note" and "the run stops" in e.data["message"]]
    assert "2 rollbacks did not help. The weights are those of step 4, the last healthy check" in said


def test_rollbacks_used_survive_a_requeue(make_trainer):
    """Killed after two rollbacks and requeued from a checkpoint before them, the run has one left, not three."""

    class Killed(BrokenGradient):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 9:
                raise KeyboardInterrupt

    first = make_trainer(callbacks=[Killed(4, 6)], logging_steps=1, save_steps=4)
    steersman.supervise(first, CONFIG)
    with pytest.raises(KeyboardInterrupt):
        first.train()
    folder = Path(first.args.output_dir)
    assert sum(e.kind == "rollback" for e in journal_of(folder)) == 2
    second = make_trainer(callbacks=[BrokenGradient(10)], logging_steps=1, save_steps=4)
    steersman.supervise(second, CONFIG)
    second.train(resume_from_checkpoint=str(folder / "checkpoint-4"))

    told = [e.data["left"] for e in read(folder / "steersman" / "journal.jsonl") if e.kind == "rollback"]
    assert told == [2, 1, 0]
    begin = [e.data["preflight"] for e in journal_of(folder) if e.kind == "run"][-1]
    assert any("rollbacks left: 1" in said for said in begin)
    assert verify(folder).differences == ()


def test_the_snapshots_are_told_at_train_begin(broken):
    """Their size, where they lie, and how many rollbacks are left: 20 kB of weights and twice as much for AdamW."""
    trainer = broken()
    (begin,) = [e for e in journal_of(trainer.args.output_dir) if e.kind == "run"]
    size = 12 * sum(p.numel() for p in trainer.model.parameters()) / 1e6

    (said,) = [sentence for sentence in begin.data["preflight"] if "snapshots" in sentence]
    assert said == f"snapshots for rollbacks: {size:,.1f} MB in host memory at each healthy check; rollbacks left: 3"


@pytest.mark.parametrize(
    ("recovery", "why"),
    [({"largest": 1e-6}, "more than recovery.largest"), ({"snapshots": "off"}, "`recovery.snapshots` is off")],
)
def test_off_by_default_above_a_stated_size(broken, recovery, why):
    """Nothing is kept, a rollback is refused with the reason, and the run goes on."""
    trainer = broken(6, config={"recovery": recovery})
    entries = journal_of(trainer.args.output_dir)

    refused = [e.data for e in entries if e.kind == "proposal" and e.data["action"] == "rollback"]
    assert {p["verdict"] for p in refused} == {"refused"}
    assert why in refused[0]["reason"]


def test_on_disk(broken):
    """`snapshots: disk` recovers as well, and leaves no file behind."""
    trainer = broken(6, config={"recovery": {"snapshots": "disk"}})

    assert is_finite(trainer.model)
    left = [path for path in (Path(trainer.args.output_dir) / "steersman").rglob("*") if path.is_file()]
    assert {path.name for path in left} == {"journal.jsonl"}


def held_out(kind, make_rows, folder, config):
    """Return the held-out loss after 300 steps, with what goes wrong at step 150, and the journal."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 256, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2}
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    model = GPT2LMHeadModel(GPT2Config(**sizes, **none, bos_token_id=0, eos_token_id=0, loss_type="ForCausalLMLoss"))
    trainer = (WrongLabels if kind == "wrong labels" else Trainer)(
        model,
        TrainingArguments(
            str(folder), max_steps=300, per_device_train_batch_size=8, learning_rate=3e-3, warmup_steps=10, logging_steps=5,
            eval_strategy="steps", eval_steps=15, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=0,
        ),
        train_dataset=make_rows(2000, length=32),
        eval_dataset=make_rows(64, start=100_000, length=32),
        callbacks={"a NaN gradient": [BrokenGradient(AT)], "a spike": [Spike()]}.get(kind, []),
    )  # fmt: skip
    if config is not None:
        steersman.supervise(trainer, config)
    trainer.train()
    return trainer.evaluate()["eval_loss"]


@pytest.fixture(scope="module")
def healthy(make_rows_once, tmp_path_factory):
    """The held-out loss of the run in which nothing goes wrong."""
    return held_out("", make_rows_once, tmp_path_factory.mktemp("healthy"), None)


@pytest.fixture(scope="module")
def make_rows_once():
    """Sequences of prose, as `make_rows` cuts them."""
    from pydoc_data.topics import topics

    text = "".join(topics[name] for name in sorted(topics)).encode()

    def rows(count, *, start=0, length=32):
        ids = torch.tensor(list(text[start : start + count * length])).view(count, length)
        return [{"input_ids": row, "labels": row} for row in ids]

    return rows


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a NaN gradient", "a spike", "wrong labels"])
def test_a_run_that_diverged_ends_near_its_healthy_twin(healthy, make_rows_once, tmp_path, kind):
    """Within 5 % of its held-out loss, where the run left alone is farther off or NaN."""
    with_us = held_out(kind, make_rows_once, tmp_path / "supervised", CONFIG)
    alone = held_out(kind, make_rows_once, tmp_path / "alone", None)

    assert with_us < 1.05 * healthy
    assert not alone < with_us
    assert any(e.kind == "rollback" for e in journal_of(tmp_path / "supervised"))
    assert verify(tmp_path / "supervised").differences == ()


@pytest.mark.slow
def test_a_healthy_run_is_left_alone(healthy, make_rows_once, tmp_path):
    """Supervised by the same config it ends with the same loss, to the bit."""
    assert held_out("", make_rows_once, tmp_path, CONFIG) == healthy
    assert {e.kind for e in journal_of(tmp_path)}.isdisjoint({"rollback", "adjustment"})


SCRIPT = """
import hashlib, json, math, sys
from pathlib import Path
from pydoc_data.topics import topics
import torch
torch.set_num_threads(1)
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
import steersman

class OnRankOne(TrainerCallback):
    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step == 6 and args.process_index == 1:
            next(model.parameters()).grad.fill_(math.nan)

text = "".join(topics[name] for name in sorted(topics)).encode()
ids = torch.tensor(list(text[: 40 * 16])).view(40, 16)
rows = [{"input_ids": row, "labels": row} for row in ids]
torch.manual_seed(0)
config = GPT2Config(vocab_size=256, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
out = Path(sys.argv[1])
arguments = TrainingArguments(
    str(out / "run"), per_device_train_batch_size=4, num_train_epochs=3, logging_steps=2, eval_strategy="steps", eval_steps=4,
    save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, ddp_backend="gloo", learning_rate=1e-3,
)
trainer = Trainer(GPT2LMHeadModel(config), arguments, train_dataset=rows[:32], eval_dataset=rows[32:], callbacks=[OnRankOne()])
told = []
class Sees:
    @steersman.hookimpl
    def on_rolled_back(self, rollback):
        told.append([rollback.step, rollback.to_step])
steersman.supervise(trainer, {"mode": "act", "use": ["eval-loss", "recovery", Sees()], "console": False,
    "hyperparameters": {"learning_rate": {}}})
trainer.train()
digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in trainer.model.parameters())).hexdigest()
finite = all(bool(p.isfinite().all()) for p in trainer.model.parameters())
(out / f"rank{trainer.args.process_index}.json").write_text(json.dumps({"digest": digest, "finite": finite, "told": told}))
"""


@pytest.mark.slow
def test_two_ranks_go_back_together(tmp_path):
    """A gradient that is NaN on rank 1 alone: both ranks go back to one state and stay equal to the bit."""
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(tmp_path / "train.py")]
    ran = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]

    zero, one = (json.loads((tmp_path / f"rank{i}.json").read_text()) for i in range(2))
    assert (zero["digest"], zero["finite"]) == (one["digest"], True)
    assert zero["told"] == [[7, 4]]
