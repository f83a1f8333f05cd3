"""The same records give the same decision lines through every integration, and over the journal afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from accelerate import Accelerator
from ignite.engine import Engine, Events
from transformers import Trainer, TrainingArguments

import steersman
from steersman import Hyperparameter
from steersman.integrations.ignite import attach
from steersman.integrations.lightning import SteersmanCallback
from steersman.readers import journal as journal_reader

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

LOSSES = (2.0, 1.875, 1.75, 1.625, 6.5, 7.0, 6.0, 5.5, 1.5, 1.375, 1.25, float("nan"))
"""The training loss of each step: it spikes from step 5 on, and is no number at step 12."""
EVALS = {4: 1.75, 8: 5.0, 12: 1.5}
STEPS, EPOCH, RATE = 12, 4, 0.0625
OWN = {"max_grad_norm": 1.0, "kl_penalty": 0.25, "temperature": 1.0, "reward_weight": 1.0, "reward_threshold": 0.5}
CONFIG: dict[str, Any] = {
    "mode": "act",
    "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}],
    "hyperparameters": {"learning_rate": {"min": 1e-6}, "max_grad_norm": {"min": 0.1}, "kl_penalty": {"max": 0.3}},
    "console": False,
}


def _own() -> list[Hyperparameter]:
    return [Hyperparameter.holding(name, value) for name, value in OWN.items()]


class Scripted(torch.nn.Module):
    """A model whose training loss is that of the script, and whose eval loss is that of the last step made."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.done = 0

    def forward(self, rows: Any = None, labels: Any = None) -> dict[str, torch.Tensor]:
        if self.training:
            self.done += 1
            loss = torch.tensor(LOSSES[self.done - 1])
        else:
            loss = torch.tensor(EVALS[self.done])
        return {"loss": loss + 0 * self.weight.sum()}

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=RATE)


def _under_the_trainer(folder: Path) -> None:
    rows = [{"rows": torch.zeros(1), "labels": torch.zeros(1)} for _ in range(8)]
    args = TrainingArguments(
        str(folder), per_device_train_batch_size=2, num_train_epochs=3, logging_steps=1, eval_strategy="steps",
        eval_steps=4, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, logging_nan_inf_filter=False,
        per_device_eval_batch_size=8,
    )  # fmt: skip
    model = Scripted()
    optimizer = model.optimizer()
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows, optimizers=(optimizer, scheduler))
    steersman.supervise(trainer, CONFIG, hyperparameters=_own())
    trainer.train()


class _Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = Scripted()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.model()["loss"]
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.model()["loss"])

    def configure_optimizers(self) -> Any:
        return self.model.optimizer()


def _under_lightning(folder: Path) -> None:
    loader = torch.utils.data.DataLoader(torch.zeros(8, 1), batch_size=2)
    trainer = pl.Trainer(
        max_epochs=3, log_every_n_steps=1, logger=False, accelerator="cpu", enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=1,
        callbacks=[SteersmanCallback(CONFIG, folder=folder, hyperparameters=_own())],
    )  # fmt: skip
    trainer.fit(_Module(), loader, loader)


def _train_step(model: Scripted, optimizer: Any) -> torch.Tensor:
    loss = model()["loss"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def _evaluation(model: Scripted) -> torch.Tensor:
    model.eval()
    loss = model()["loss"]
    model.train()
    return loss


def _under_ignite(folder: Path) -> None:
    model = Scripted()
    optimizer = model.optimizer()
    trainer = Engine(lambda engine, batch: _train_step(model, optimizer).item())
    evaluator = Engine(lambda engine, batch: None)
    evaluator.add_event_handler(
        Events.EPOCH_COMPLETED, lambda engine: engine.state.metrics.update(loss=_evaluation(model).item())
    )
    attach(trainer, evaluator, optimizer, CONFIG, folder=folder, log_every=1, hyperparameters=_own())
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _: evaluator.run([0]))
    trainer.run(range(EPOCH), max_epochs=3)


def _in_a_loop(folder: Path, model: Any, optimizer: Any) -> None:
    facts = {"total_steps": STEPS, "steps_per_epoch": EPOCH, "eval_every": 4}
    with steersman.attach(optimizer, CONFIG, folder=folder, hyperparameters=_own(), **facts) as loop:
        for step in range(1, STEPS + 1):
            loop.log(step, loss=_train_step(model, optimizer))
            if step % 4 == 0:
                loop.evaluate(step, loss=_evaluation(model))


def _in_a_plain_loop(folder: Path) -> None:
    model = Scripted()
    _in_a_loop(folder, model, model.optimizer())


def _under_accelerate(folder: Path) -> None:
    model = Scripted()
    _in_a_loop(folder, *Accelerator(cpu=True).prepare(model, model.optimizer()))


RUNS: Mapping[str, Callable[[Path], None]] = {
    "trainer": _under_the_trainer,
    "lightning": _under_lightning,
    "ignite": _under_ignite,
    "accelerate": _under_accelerate,
    "loop": _in_a_plain_loop,
}


def _decided(entries: Any) -> list[tuple[Any, ...]]:
    """Return every field but the fingerprint, which tells of the trainer's own settings."""
    kinds = ("score", "finding", "proposal")
    return [
        (e.kind, e.step, {k: v for k, v in e.data.items() if k != "fingerprint"}) for e in entries if e.kind in kinds
    ]


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[tuple[Any, ...]]]:
    """Return a function that tells what was decided in one of the runs, each made once."""
    folder = tmp_path_factory.mktemp("same")

    def tell(name: str) -> list[tuple[Any, ...]]:
        if not (folder / name).exists():
            RUNS[name](folder / name)
        return _decided(journal_reader.current(folder / name / "steersman" / "journal.jsonl"))

    tell.folder = folder  # type: ignore[attr-defined]
    return tell


def test_the_script_asks_for_something(decided):
    """The scripted records bring scores, findings and changes made, or the other tests would show little."""
    told = decided("loop")

    assert [step for kind, step, data in told if kind == "score" and data["decides"]] == [4, 8, 12]
    assert {"loss-spike", "non-finite-loss"} <= {data["name"] for kind, _, data in told if kind == "finding"}
    applied = {data["hyperparameter"] for kind, _, data in told if kind == "proposal" and data["verdict"] == "applied"}
    assert applied == {"learning_rate", "max_grad_norm", "kl_penalty"}


@pytest.mark.parametrize("name", [name for name in RUNS if name != "loop"])
def test_every_integration_decides_as_the_plain_loop(decided, name):
    """Scores, findings, proposals and verdicts, with every figure and reason, are the same."""
    assert decided(name) == decided("loop")


@pytest.mark.parametrize("name", RUNS)
def test_the_journal_replayed_decides_the_same(decided, name):
    """A run's journal fed through the supervisor again gives the same lines."""
    live = decided(name)

    assert _decided(steersman.replay(decided.folder / name, CONFIG).entries) == live
