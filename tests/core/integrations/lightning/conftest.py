"""Real tiny trainings under Lightning: a linear model with dropout, batches of 8, epochs of 4 batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from steersman.journal import JournalEntry
from steersman.readers import journal as journal_reader

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


class Module(pl.LightningModule):
    """Logs `train_loss` and `val_loss`, and decays its rate by a cosine."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.net(batch), batch.sum(1, keepdim=True))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4, eta_min=0.01)]


def loader(count: int = 32, seed: int = 1) -> Any:
    """Return batches of 8 of the same numbers each time."""
    numbers = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    return torch.utils.data.DataLoader(numbers, batch_size=8)


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., pl.Trainer]:
    """Return a function that trains three epochs with the callbacks it is given, and returns the trainer."""

    def run(
        *callbacks: pl.Callback,
        module: Any = None,
        val: Any = "one",
        ckpt_path: Any = None,
        train: Any = None,
        **settings: Any,
    ) -> pl.Trainer:
        settings = {"max_epochs": 3, "log_every_n_steps": 2, "logger": False, "accelerator": "cpu"} | settings
        settings |= {"enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": tmp_path}
        settings.setdefault("enable_checkpointing", any(isinstance(c, pl.callbacks.ModelCheckpoint) for c in callbacks))
        trainer = pl.Trainer(callbacks=list(callbacks), **settings)
        trainer.fit(module or Module(), train or loader(), loader(8, 2) if val == "one" else val, ckpt_path=ckpt_path)
        return trainer

    return run


@pytest.fixture
def entries(tmp_path: Path) -> Callable[..., list[JournalEntry]]:
    """Return a function that reads the journal of a folder, of the given kinds if any."""

    def read(*kinds: str, folder: Path | None = None) -> list[JournalEntry]:
        found = journal_reader.current((folder or tmp_path) / "steersman" / "journal.jsonl")
        return [entry for entry in found if not kinds or entry.kind in kinds]

    return read


@pytest.fixture
def module() -> type[Module]:
    """The module that `fit` trains."""
    return Module


@pytest.fixture
def batches() -> Callable[..., Any]:
    """The function that makes a loader."""
    return loader
