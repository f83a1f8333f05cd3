"""A real Trainer logs the norms of its groups, and their rates move with them."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import warnings
from pathlib import Path

import pytest
import torch
from steersman_layerwise_lr import LayerwiseLR, LogNorms, log_norms
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

import steersman

torch.set_num_threads(1)
GROUPS = ("embed", "body")


class Rates(TrainerCallback):
    """Notes the rates that the optimizer steps with."""

    def __init__(self):
        self.used = []

    def on_train_begin(self, args, state, control, optimizer=None, **kwargs):
        inner = optimizer.optimizer
        inner.register_step_pre_hook(lambda *_: self.used.append([g["lr"] for g in inner.param_groups]))


def make_trainer(folder: Path, *, callbacks=(), **settings) -> Trainer:
    """Return a Trainer of 12 steps, four an epoch, on a 20,000-parameter GPT-2 with two named parameter groups."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0,
            loss_type="ForCausalLMLoss",
        )
    )  # fmt: skip
    ids = torch.randint(256, (32, 16))
    embed = [p for n, p in model.named_parameters() if "wte" in n or "wpe" in n]
    body = [p for n, p in model.named_parameters() if "wte" not in n and "wpe" not in n]
    groups = [{"params": embed, "name": "embed"}, {"params": body, "name": "body"}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    given = {
        "output_dir": str(folder), "per_device_train_batch_size": 8, "num_train_epochs": 3, "logging_steps": 2,
        "save_strategy": "no", "report_to": [], "disable_tqdm": True, "lr_scheduler_type": "constant", "seed": 0,
        "use_cpu": True,
    }  # fmt: skip
    return Trainer(
        model,
        TrainingArguments(**(given | settings)),
        train_dataset=[{"input_ids": row, "labels": row} for row in ids],
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)),
        callbacks=list(callbacks),
    )


def steps_with_norms(trainer: Trainer) -> list[int]:
    """Return the steps of `log_history` that have every norm of both groups."""
    names = [f"{kind}_norm/{group}" for kind in ("weight", "grad", "update") for group in GROUPS]
    return [entry["step"] for entry in trainer.state.log_history if all(name in entry for name in names)]


@pytest.mark.parametrize("placed_first", [True, False])
def test_the_rates_of_a_real_trainer_follow_the_norms_in_its_log(tmp_path, placed_first):
    """Whichever is attached first: the norms are in every log, Steersman hears them, and the rates that AdamW steps
    with are the user's times what was decided at the checks of steps 4 and 8."""
    rates = Rates()
    trainer = make_trainer(tmp_path)
    if placed_first:
        log_norms(trainer)
    config = {
        "mode": "act",
        "extends": "no-rails",
        "check_every": 4,
        "use": [LayerwiseLR(max_factor=1.2, min_factor=0.8)],
        "hyperparameters": {f"learning_rate[{name}]": {} for name in GROUPS},
        "console": False,
    }
    callback = steersman.supervise(trainer, config)
    if not placed_first:
        log_norms(trainer)
    trainer.add_callback(rates)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.train()

    assert steps_with_norms(trainer) == [2, 4, 6, 8, 10, 12]
    first, last = trainer.state.log_history[0], trainer.state.log_history[5]
    more = max(GROUPS, key=lambda name: first[f"weight_norm/{name}"] / first[f"update_norm/{name}"])
    up, down = GROUPS.index(more), 1 - GROUPS.index(more)
    assert last["step"] == 12
    assert rates.used[:4] == [[1e-3, 1e-3]] * 4
    assert rates.used[4][up] > 1e-3 > rates.used[4][down]
    assert rates.used[4] == rates.used[7] and rates.used[8] == rates.used[11]
    assert callback.summary["changes"] >= 2
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [1e-3, 1e-3]


def test_norms_are_measured_only_where_a_log_may_be_made(tmp_path, monkeypatch):
    """Logs every 5 of 12 steps: measured at 5, 10 and the last step, and read from the device at the logs only."""
    from steersman_layerwise_lr import trainer_log

    measured, read = [], []
    measure, as_numbers = trainer_log.measure, trainer_log.as_numbers
    trainer = make_trainer(tmp_path, logging_steps=5)
    monkeypatch.setattr(
        trainer_log, "measure", lambda o: (measured.append(trainer.state.global_step + 1), measure(o))[1]
    )
    monkeypatch.setattr(trainer_log, "as_numbers", lambda t: (read.append(trainer.state.global_step), as_numbers(t))[1])
    log_norms(trainer)
    trainer.train()
    assert (measured, read) == ([5, 10, 12], [5, 10])


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"logging_strategy": "epoch"}, [4, 8, 12]),
        ({"logging_first_step": True, "logging_steps": 6}, [1, 6, 12]),
        ({"gradient_accumulation_steps": 2, "logging_strategy": "epoch"}, [2, 4, 6]),
    ],
)
def test_every_way_of_logging_has_its_norms(tmp_path, settings, steps):
    """At the end of each epoch, at the first step too, and with accumulated gradients: every log has the norms."""
    trainer = make_trainer(tmp_path, **settings)
    log_norms(trainer)
    trainer.train()
    assert steps_with_norms(trainer) == steps


def test_training_is_the_same_with_the_norms_measured(tmp_path):
    """Measuring changes no weight, bit for bit."""
    plain = make_trainer(tmp_path / "a")
    plain.train()
    measured = make_trainer(tmp_path / "b")
    log_norms(measured)
    measured.train()
    pairs = zip(plain.model.parameters(), measured.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_a_callback_that_stands_behind_steersman_warns(tmp_path):
    """As a plain callback it would log norms that Steersman never hears: that is said at train begin."""
    trainer = make_trainer(tmp_path, callbacks=[LogNorms()], max_steps=2)
    with pytest.warns(UserWarning, match=r"use log_norms\(trainer\)"):
        trainer.train()
    assert steps_with_norms(trainer) == [2]
