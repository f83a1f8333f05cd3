"""Nothing of Steersman's opens a connection: importing it, supervising a run, replaying and explaining it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
NETWORK = {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "urllib.Request"}
opened = []
sys.addaudithook(lambda event, args: opened.append((event, str(args))) if event in NETWORK else None)

import steersman
from click.testing import CliRunner
from transformers import Trainer, TrainingArguments
from steersman.cli import main

sys.path.insert(0, sys.argv[2])
from conftest import rows, tiny_model

settings = TrainingArguments(
    sys.argv[1], per_device_train_batch_size=8, max_steps=8, logging_steps=2, eval_strategy="steps", eval_steps=4,
    save_steps=4, report_to=[], disable_tqdm=True, use_cpu=True,
)
trainer = Trainer(tiny_model(), settings, train_dataset=rows(32), eval_dataset=rows(8, start=100_000))
steersman.supervise(trainer, {"extends": "origin"})
trainer.train()
for command in ("replay", "explain"):
    ran = CliRunner().invoke(main, [command, sys.argv[1]])
    assert ran.exit_code == 0, ran.output
print("opened", opened)
"""


def test_no_socket_is_opened(tmp_path: Path) -> None:
    """Python's own audit events tell of no connection, no bound port and no name looked up, in a whole run."""
    tests = Path(__file__).parent.parent
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run"), str(tests)]

    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)

    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines()[-1] == "opened []"
    assert (tmp_path / "run" / "steersman" / "journal.jsonl").stat().st_size > 0
