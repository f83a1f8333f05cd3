"""Two real processes over gloo under Lightning: rank 0 decides, both hold the same values and save together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, json, sys
from pathlib import Path
import pytorch_lightning as pl
import torch
import steersman

torch.set_num_threads(1)
out = Path(sys.argv[1])

class Asks:
    @steersman.hookimpl
    def propose_adjustments(self, run, check):
        if check.step == 4:
            return [steersman.Adjust("learning_rate", scale=0.5, because="a test"), steersman.Save("a test")]
        return steersman.Stop("enough") if check.step == 8 else None

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Linear(4, 1)
        self.factors = []
    def loss(self, batch):
        return torch.nn.functional.mse_loss(self.net(batch), batch.sum(1, keepdim=True))
    def training_step(self, batch, batch_idx):
        self.factors.append(callback.session.supervisor.registry.view("learning_rate").factor)
        return self.loss(batch)
    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch), sync_dist=True)
    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.05)

config = {"mode": "act", "console": False, "use": ["eval-loss", Asks()], "hyperparameters": {"learning_rate": {}}}
callback = steersman.LightningCallback(config, folder=out)
best = pl.callbacks.ModelCheckpoint(out / "best", monitor="steersman_score")
trainer = pl.Trainer(
    max_epochs=3, accelerator="cpu", devices=2, strategy="ddp", callbacks=[callback, best], logger=False,
    enable_progress_bar=False, enable_model_summary=False,
)
rows = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
loader = torch.utils.data.DataLoader(rows, batch_size=4)
module = Module()
trainer.fit(module, loader, loader)
digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in module.parameters())).hexdigest()
told = {"digest": digest, "factors": module.factors, "best": best.best_model_score.item(), "steps": trainer.global_step}
(out / f"rank{trainer.global_rank}.json").write_text(json.dumps(told))
torch.distributed.destroy_process_group()  # else gloo's threads may outlive the interpreter, which aborts then
"""


@pytest.mark.slow
def test_both_ranks_hold_the_same(tmp_path: Path) -> None:
    """A change, a save and a stop of rank 0 act on both: equal factors, parameters, best score and number of steps."""
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(tmp_path / "train.py")]
    ran = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]

    zero, one = (json.loads((tmp_path / f"rank{i}.json").read_text()) for i in range(2))

    assert zero == one
    assert (zero["factors"], zero["steps"]) == ([1.0] * 4 + [0.5] * 5, 9)
    assert sorted(path.name for path in (tmp_path / "steersman" / "checkpoints").iterdir()) == [
        "step-5.ckpt",
        "step-9.ckpt",
    ]
