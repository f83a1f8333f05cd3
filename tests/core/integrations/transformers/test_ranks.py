"""Two real processes over gloo train with the Trainer: rank 0 decides, both hold the same values at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SCRIPT = """
import hashlib
from importlib import import_module
from pydoc_data.topics import topics
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
import steersman

text = "".join(topics[name] for name in sorted(topics)).encode()
ids = torch.tensor(list(text[: 40 * 16])).view(40, 16)
rows = [{"input_ids": row, "labels": row, "attention_mask": torch.ones_like(row)} for row in ids]
model_config = GPT2Config(vocab_size=256, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
used, adam = [], import_module("torch.optim.adam")
computes = adam.adam

def recording(*tensors, lr, **settings):
    used.append(float(lr))
    return computes(*tensors, lr=lr, **settings)

adam.adam = recording

class Halves:
    @steersman.hookimpl
    def propose_adjustments(self, run, check):
        return steersman.Adjust("learning_rate", scale=0.5, because="a test says so") if check.step == 4 else None

class ByItsOwnClock:
    @steersman.hookimpl
    def propose_adjustments(self, run, check):
        mine = (run.history["eval_runtime"].latest + run.elapsed) * 1e6 % 1
        return steersman.Adjust("learning_rate", scale=0.5 + mine / 4, because="the clock says so")

class Fails:
    @steersman.hookimpl
    def diagnose(self, run, check):
        raise RuntimeError("only rank 0 asks strategies")

class Averages:
    @steersman.hookimpl
    def score_checkpoint(self, checkpoint):
        return steersman.Score(0.0 if checkpoint.averaged else 1.0)

    @steersman.hookimpl
    def propose_averages(self):
        return [steersman.Average((4, 8)), steersman.Average((8, 12))]

class Watch(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        view = self.callback.session.supervisor.registry.view
        self.factors.append([view("learning_rate").factor, view("max_grad_norm").factor])

def shard(trainer):
    # accelerate 1.15 takes FSDP for accelerators only: here its own preparation for FSDP2 is asked for on the CPU
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", transformer_cls_names_to_wrap=["GPT2Block"]
    )
    plugin.set_auto_wrap_policy(trainer.model)
    state = trainer.accelerator.state._shared_state
    state["distributed_type"], state["fsdp_plugin"], trainer.is_fsdp_enabled = DistributedType.FSDP, plugin, True

def whole(parameter):
    return (parameter.full_tensor() if isinstance(parameter, DTensor) else parameter).detach().numpy().tobytes()

def train(name, config=None, sharded=False, **settings):
    used.clear()
    torch.manual_seed(0)
    arguments = TrainingArguments(
        str(out / name), per_device_train_batch_size=4, num_train_epochs=3, logging_steps=2, eval_strategy="steps",
        eval_steps=4, save_steps=4, report_to=[], disable_tqdm=True, use_cpu=True, ddp_backend="gloo", learning_rate=1e-3,
        lr_scheduler_type="cosine", **settings,
    )
    trainer = Trainer(GPT2LMHeadModel(model_config), arguments, train_dataset=rows[:32], eval_dataset=rows[32:])
    watch = Watch()
    watch.factors = []
    if config is not None:
        watch.callback = steersman.supervise(trainer, {"console": False, "extends": "no-rails", **config})
        trainer.add_callback(watch)
    if sharded:
        shard(trainer)
    trainer.train()
    assert isinstance(trainer.model, FSDPModule) is sharded
    parameters = b"".join(whole(p) for p in trainer.model.parameters())
    return {
        "digest": hashlib.sha256(parameters).hexdigest(), "rates": list(used), "factors": watch.factors,
        "steps": trainer.state.global_step, "best": trainer.state.best_metric,
        "losses": [e["loss"] for e in trainer.state.log_history if "loss" in e],
    }

allowed = {"learning_rate": {}, "max_grad_norm": {}}
act = {"mode": "act", "hyperparameters": allowed}
seed = ["multi-metric", {"trend-health": {"preset": "seed"}}]
told["plain"] = train("plain")
told["observe"] = train("observe", {**act, "mode": "observe", "use": [*seed, Halves()], "check_every": 4, "force_logs": "always"})
told["seed"] = train("seed", {**act, "use": [*seed, Fails()], "check_every": 4}, metric_for_best_model="steersman_score")
told["clock"] = train("clock", {**act, "use": ["eval-loss", ByItsOwnClock()]})
told["averages"] = train(
    "averages", {**act, "use": [Averages()]}, load_best_model_at_end=True, metric_for_best_model="steersman_score"
)
told["averages"]["kept"] = sorted(path.name for path in out.glob("averages/averaged-*"))
told["disk"] = train("disk", {**act, "use": ["eval-loss", Halves()], "journal": "/dev/full"})
told["stop"] = train("stop", {**act, "use": ["eval-loss", Fails()], "on_error": "stop"})
blocks = {"fsdp_version": 2, "transformer_layer_cls_to_wrap": ["GPT2Block"]}
no_saves = {"sharded": True, "save_strategy": "no", "fsdp": True, "fsdp_config": blocks}
told["sharded plain"] = train("sharded-plain", **no_saves)
told["sharded observe"] = train("sharded-observe", {**act, "mode": "observe", "use": [*seed, Halves()]}, **no_saves)
told["sharded"] = train("sharded", {**act, "use": ["eval-loss", Halves(), ByItsOwnClock()]}, **no_saves)
"""


@pytest.mark.slow
def test_both_ranks_hold_the_same(on_two_ranks: Callable[[str], list[dict[str, Any]]]) -> None:
    """Whatever only rank 0 meets (a failing strategy, its clock, a full disk), both are equal to the bit at every step.

    And in `observe` both are equal to a run without Steersman. The same holds where the model is sharded by FSDP2.
    """
    zero, one = on_two_ranks(SCRIPT)

    for name, told in zero.items():
        assert told == one[name], name
    plain = {"": zero["plain"], "sharded": zero["sharded plain"]}
    for name in ("digest", "rates", "losses"):
        assert zero["observe"][name] == plain[""][name]
        assert zero["sharded observe"][name] == plain["sharded"][name]
    assert (plain[""]["steps"], zero["stop"]["steps"]) == (12, 5)
    assert isinstance(zero["seed"]["best"], float)
    assert zero["averages"]["kept"] == ["averaged-4-8-of-2"], "the first of two that score the same"
    assert zero["averages"]["digest"] != plain[""]["digest"], "it is loaded, on both ranks"
    for name, untouched in (("seed", ""), ("clock", ""), ("disk", ""), ("sharded", "sharded")):
        factors = [learning_rate for learning_rate, _ in zero[name]["factors"]]
        assert zero[name]["digest"] != plain[untouched]["digest"], "nothing was changed, so this shows little"
        assert factors[-1] < 1.0
        assert zero[name]["rates"] == [rate * factors[i // 2] for i, rate in enumerate(plain[untouched]["rates"])]
