"""The logs that Lightning writes beside a supervised run give, replayed, what was said live."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

import steersman
from steersman.integrations.lightning import SteersmanCallback
from steersman.readers import find, read

CONFIG = {
    "extends": "no-rails",
    "mode": "act",
    "use": ["multi-metric", "eval-loss", {"trend-health": {"preset": "seed"}}],
    "console": False,
    "force_logs": "never",
}


class _Fault(pl.Callback):
    """Makes the loss spike for real: the weights are pushed around before the sixth step."""

    def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
        if trainer.global_step in (5, 6):
            for parameter in module.parameters():
                parameter.data.mul_(4.0)


def _decisions(entries: Any) -> list[Any]:
    """Return what was decided, without what the log does not hold: hyperparameters, and the facts of the fingerprint."""
    unknown = ("old", "new", "reason", "fingerprint")
    return [
        (entry.kind, entry.step, {k: v for k, v in entry.data.items() if k not in unknown})
        for entry in entries
        if entry.kind in ("score", "finding", "proposal") and entry.data.get("name") != "token-ledger"
    ]


@pytest.mark.parametrize("check_every", ["auto", "epoch", 3])
@pytest.mark.parametrize("every", [1, 2, 4])
def test_metrics_csv_gives_the_decisions_of_the_live_run(fit, entries, tmp_path, every, check_every):
    """A supervised run and its metrics.csv replayed give the same scores, findings and proposals, at the same steps."""
    config = {**CONFIG, "check_every": check_every, "hyperparameters": {"learning_rate": {"min": 1e-7}}}
    logger = CSVLogger(tmp_path / "logs")
    fit(SteersmanCallback(config, folder=tmp_path), _Fault(), logger=logger, log_every_n_steps=every, max_epochs=4)

    live = entries()
    [run] = find(tmp_path / "logs")
    replayed = steersman.replay(run, config, values={"learning_rate": 0.05})

    assert replayed.recording.format == "lightning"
    records = [(e.step, e.data["of"], e.data["epoch"], e.data["metrics"]) for e in live if e.kind == "record"]
    assert [(r.step, r.kind, r.epoch, dict(r.metrics)) for r in replayed.recording.records] == records
    assert _decisions(live)
    assert _decisions(replayed.entries) == _decisions(live)


def test_event_files_give_the_records_of_the_live_run(fit, entries, tmp_path):
    """Lightning's TensorBoard log counts steps as its table does; its numbers are of single precision, as the losses."""
    logger = TensorBoardLogger(tmp_path / "logs")
    fit(SteersmanCallback(CONFIG, folder=tmp_path), logger=logger, log_every_n_steps=2)

    [run] = find(tmp_path / "logs")
    recording = read(run)

    assert recording.format == "tensorboard"
    told = [(e.step, e.data["of"], e.data["epoch"], e.data["metrics"]) for e in entries("record")]
    assert [(r.step, r.kind, r.epoch, dict(r.metrics)) for r in recording.records] == told


def test_losses_of_a_step_and_of_an_epoch(fit, entries, module, tmp_path):
    """A loss that is logged both ways is `loss` at its steps; the mean of the epoch is a metric of its own."""

    class Both(module):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.loss(batch)
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

    fit(SteersmanCallback(CONFIG, folder=tmp_path), module=Both(), logger=CSVLogger(tmp_path / "logs"))

    [run] = find(tmp_path / "logs")
    live = {e.step: e.data["metrics"]["loss"] for e in entries("record") if e.data["of"] == "train"}
    replayed = {r.step: r.metrics["loss"] for r in read(run).records if r.kind == "train"}
    assert list(replayed) == list(live) == [2, 4, 6, 8, 10, 12]
    assert replayed == live
    of_epochs = [(r.step, r.metrics["loss_epoch"]) for r in read(run).records if "loss_epoch" in r.metrics]
    assert [step for step, _ in of_epochs] == [4, 8, 12]
