"""Steps of a Lightning trainer under a guard: there the gradients are made inside the step."""

from __future__ import annotations

import math

import pytorch_lightning as pl
import torch
from attrs import define

from steersman import LightningCallback, StepGuard, hookimpl


@define(eq=False)
class Guards:
    """Asks for a guard."""

    @hookimpl
    def guard_steps(self, run):
        return StepGuard(clip=2.0)


class One(pl.LightningModule):
    """One weight whose gradient is the mean of its batch."""

    def __init__(self):
        super().__init__()
        self.weight, self.before = torch.nn.Parameter(torch.zeros(1, 1)), [0.0]

    def training_step(self, batch, batch_idx):
        return (self.weight * batch).mean()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.before.append(self.weight.item())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def test_gradients_are_clipped_and_steps_are_skipped(fit, entries, tmp_path):
    """Two batches a step: means of 1, 8, NaN and 1 move the weight by 1, 2, nothing and 1; the log of each tells."""
    batches = torch.tensor([1.0, 1.0, 4.0, 12.0, 1.0, math.nan, 0.0, 2.0])
    module = One()
    config = {"mode": "act", "use": [Guards()], "console": False}
    fit(
        LightningCallback(config, folder=tmp_path), module=module, val=None, max_epochs=1, log_every_n_steps=1,
        train=torch.utils.data.DataLoader(batches), accumulate_grad_batches=2,
    )  # fmt: skip

    assert module.before[::2] == [0.0, -1.0, -3.0, -3.0, -4.0]
    counts = [
        (e.data["metrics"]["steps_skipped"], e.data["metrics"]["steps_clipped"])
        for e in entries("record")
        if e.data["of"] == "train"
    ]
    assert counts == [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0)]
