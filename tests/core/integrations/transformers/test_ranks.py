"""Two real processes over gloo: rank 0 decides, both hold the same values."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import hashlib, json, sys
from pathlib import Path
from pydoc_data.topics import topics
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
import steersman

class RaisesOnRankZero:
    @steersman.hookimpl
    def diagnose(self, run, check):
        raise RuntimeError("only rank 0 asks strategies")

text = "".join(topics[name] for name in sorted(topics)).encode()
ids = torch.tensor(list(text[: 40 * 16])).view(40, 16)
rows = [{"input_ids": row, "labels": row} for row in ids]
torch.manual_seed(0)
config = GPT2Config(vocab_size=256, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
out = Path(sys.argv[1])
arguments = TrainingArguments(
    str(out / "run"), per_device_train_batch_size=4, num_train_epochs=3, logging_steps=2, eval_strategy="steps", eval_steps=4,
    save_steps=4, report_to=[], disable_tqdm=True, use_cpu=True, ddp_backend="gloo", learning_rate=1e-3,
    metric_for_best_model="steersman_score",
)
trainer = Trainer(GPT2LMHeadModel(config), arguments, train_dataset=rows[:32], eval_dataset=rows[32:])
supervised = {
    "extends": "no-rails", "mode": "act", "check_every": 4, "console": False, "hyperparameters": {"learning_rate": {}, "max_grad_norm": {}},
    "use": ["multi-metric", RaisesOnRankZero(), {"trend-health": {"preset": "seed"}}],
}
callback = steersman.supervise(trainer, supervised)
rates = []
step = trainer.callback_handler.callbacks
class Watch(type(step[0]).__mro__[1]):
    def on_step_end(self, args, state, control, **kwargs):
        rates.append(callback.session.supervisor.registry.view("learning_rate").factor)
trainer.add_callback(Watch())
trainer.train()
digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in trainer.model.parameters())).hexdigest()
told = {"digest": digest, "factors": rates, "best": trainer.state.best_metric}
(out / f"rank{trainer.args.process_index}.json").write_text(json.dumps(told))
"""


@pytest.mark.slow
def test_both_ranks_hold_the_same(tmp_path: Path) -> None:
    """Decisions of rank 0 act on both: equal factors at every step, equal parameters to the bit, one best metric."""
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(tmp_path / "train.py")]
    ran = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]

    zero, one = (json.loads((tmp_path / f"rank{i}.json").read_text()) for i in range(2))

    assert zero == one
    assert zero["factors"][0] == 1.0
    assert zero["factors"][-1] < 1.0, "nothing was changed, so this test shows little"
