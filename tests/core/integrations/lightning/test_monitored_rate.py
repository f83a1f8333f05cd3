"""A Lightning run whose learning rate is monitored: its metrics.csv tells the verdicts too, old and new values included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger

import steersman
from steersman.integrations.lightning import SteersmanCallback
from steersman.readers import journal as journal_reader

LOSSES = (2.0, 1.875, 1.75, 1.625, 6.5, 7.0, 6.0, 5.5, 1.5, 1.375, 1.25, float("nan"))
"""The training loss of each step: it spikes from step 5 on, and is no number at step 12."""
EVALS = {4: 1.75, 8: 5.0, 12: 1.5}
RATE = 0.0625


class Scripted(pl.LightningModule):
    """A model whose losses are those of the script."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.done = 0

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.done += 1
        loss = torch.tensor(LOSSES[self.done - 1]) + 0 * self.weight.sum()
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", torch.tensor(EVALS[self.done]))
        self.log("val_accuracy", torch.tensor(1 / EVALS[self.done]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=RATE)


def _trained(folder: Path, config: dict[str, Any], **trainer: Any) -> Path:
    loader = torch.utils.data.DataLoader(torch.zeros(8, 1), batch_size=2)
    pl.Trainer(
        max_epochs=3, log_every_n_steps=1, accelerator="cpu", enable_checkpointing=False, limit_val_batches=1,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        logger=CSVLogger(folder, name="csv", version=0),
        callbacks=[SteersmanCallback(config, folder=folder), LearningRateMonitor("step")], **trainer,
    ).fit(Scripted(), loader, loader)  # fmt: skip
    return folder / "csv" / "version_0" / "metrics.csv"


def _decided(entries: Any) -> list[tuple[Any, ...]]:
    """Return what was decided; the log holds the learning rate alone, so only its verdicts are."""
    kept = [e for e in entries if e.kind in ("score", "finding", "proposal") and e.data.get("severity") != "info"]
    known = ("learning_rate", None)
    told = [e for e in kept if e.data.get("hyperparameter") in known]
    return [(e.kind, e.step, {k: v for k, v in e.data.items() if k != "fingerprint"}) for e in told]


@pytest.mark.parametrize("check_every", ["auto", "epoch", 3])
def test_metrics_csv_equals_live(tmp_path, check_every):
    """Scores, findings, proposals and verdicts of the run are those of its metrics.csv, by step and by epoch."""
    config = {
        "mode": "advise",
        "check_every": check_every,
        "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}],
        "console": False,
    }
    csv = _trained(tmp_path, config)
    live = _decided(journal_reader.current(tmp_path / "steersman" / "journal.jsonl"))
    assert {kind for kind, _, _ in live} == {"score", "finding", "proposal"}
    assert [step for kind, step, data in live if kind == "score" and data["decides"]] == [4, 8, 12]
    assert _decided(steersman.replay(csv, config).entries) == live
