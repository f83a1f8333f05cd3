"""What supervision costs beside what a user would take instead: steps per second, start-up, resident memory.

Run it on an idle machine: `python tests/benchmarks/peers.py [--json]`, about four minutes. The same tiny GPT-2 is
trained by the Hugging Face Trainer and by Lightning, each with a callback that does nothing (the baseline), with the
trainer's own early stopping and counting, and with Steersman: without a config, and with `extends: recommended`.
All of them evaluate every 50 steps and log every 10. Rates come from one process in interleaved rounds, by the clock
from the forward pass of step 20 to that of the last: the fastest round of each, which other work on the machine
disturbs least. Start-up and memory come from fresh processes.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from pydoc_data.topics import topics
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import track as tracked

os.environ["HF_HUB_OFFLINE"] = "1"

STEPS, FIRST, EVERY, LOGGED, LENGTH = 220, 20, 50, 10, 16
TRAINERS = ("HF Trainer", "Lightning")
WITH = ("a callback that does nothing", "its own", "steersman, no config", "steersman, recommended")
OWN = {
    "HF Trainer": "EarlyStoppingCallback + include_num_input_tokens_seen",
    "Lightning": "EarlyStopping + ThroughputMonitor",
}
CONFIGS: dict[str, dict[str, Any]] = {
    WITH[2]: {"console": False},
    WITH[3]: {"extends": "recommended", "console": False},
}


def trained(trainer: str, beside: str, steps: int = STEPS) -> list[float]:
    """Train once, and return when each forward pass of a step began, in seconds of the clock."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.utils import logging as of_transformers

    of_transformers.set_verbosity_error()
    torch.set_num_threads(1)  # steadier, and a smaller step makes what is added a larger share
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=256, n_positions=LENGTH, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    config.loss_type = "ForCausalLMLoss"
    model, began = GPT2LMHeadModel(config), list[float]()

    def note(module: Any, inputs: Any) -> None:
        if module.training:
            began.append(monotonic())

    model.register_forward_pre_hook(note)
    text = "".join(topics[name] for name in sorted(topics)).encode()[: 1032 * LENGTH]
    rows = [{"input_ids": row, "labels": row} for row in torch.tensor(list(text)).view(1032, LENGTH)]
    with tempfile.TemporaryDirectory() as folder:
        (by_hf if trainer == TRAINERS[0] else by_lightning)(model, rows[:1024], rows[1024:], beside, folder, steps)
    return began


def by_hf(model: Any, rows: Any, held_out: Any, beside: str, folder: str, steps: int) -> None:
    """Train with the Hugging Face Trainer."""
    from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    is_own = beside == WITH[1]
    arguments = TrainingArguments(
        folder, max_steps=steps, per_device_train_batch_size=2, logging_steps=LOGGED, eval_strategy="steps",
        eval_steps=EVERY, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
        metric_for_best_model="eval_loss", include_num_input_tokens_seen="all" if is_own else "no",
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=held_out)
    trainer.remove_callback(PrinterCallback)
    if beside in CONFIGS:
        import steersman

        steersman.supervise(trainer, CONFIGS[beside])
    else:
        trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=1000) if is_own else TrainerCallback())
    trainer.train()


def by_lightning(model: Any, rows: Any, held_out: Any, beside: str, folder: str, steps: int) -> None:
    """Train with Lightning, clipped as the Hugging Face Trainer does by itself."""
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.callbacks import EarlyStopping, ThroughputMonitor
    from pytorch_lightning.loggers import CSVLogger

    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.ERROR)

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.model(**batch).loss
            self.log("train_loss", loss)
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", self.model(**batch).loss)

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=5e-5)

    callbacks: list[Any] = [pl.Callback()]
    if beside == WITH[1]:
        lengths = {"batch_size_fn": lambda b: len(b["input_ids"]), "length_fn": lambda b: b["input_ids"].numel()}
        callbacks = [EarlyStopping("val_loss", patience=1000), ThroughputMonitor(**lengths)]
    elif beside in CONFIGS:
        import steersman

        callbacks = [steersman.LightningCallback(CONFIGS[beside], folder=folder)]
    trainer = pl.Trainer(
        max_steps=steps, val_check_interval=EVERY, check_val_every_n_epoch=None, log_every_n_steps=LOGGED,
        num_sanity_val_steps=0, gradient_clip_val=1.0, callbacks=callbacks, logger=CSVLogger(folder),
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu",
    )  # fmt: skip
    batches = (torch.utils.data.DataLoader(part, batch_size=2, shuffle=part is rows) for part in (rows, held_out))
    trainer.fit(Module(), *batches)


def track(each: Any, what: str) -> Any:
    """Return each in turn, behind a progress bar on stderr."""
    return tracked(each, what, console=Console(stderr=True))


def rates(rounds: int) -> dict[tuple[str, str], list[float]]:
    """Return microseconds of a step of each trainer with each, one of each round."""
    each = [(trainer, beside) for trainer in TRAINERS for beside in WITH]
    took: dict[tuple[str, str], list[float]] = {which: [] for which in each}
    for which in track(each, "warming up"):
        trained(*which, steps=FIRST)  # what is loaded or compiled at its first use
    gc.collect()
    gc.freeze()
    for index in track(range(rounds), "rounds"):
        for which in each[index % len(each) :] + each[: index % len(each)]:
            began = trained(*which)
            took[which].append((began[-1] - began[FIRST]) / (len(began) - 1 - FIRST) * 1e6)
    return took


def fresh(trainer: str, beside: str) -> tuple[float, float]:
    """Return seconds from the start of a process to its first step, and its largest resident memory in MB."""
    command, begun = [sys.executable, __file__, "--start", trainer, beside], monotonic()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=kept)
    first_step, memory = map(float, ran.stdout.split()[-2:])
    return first_step - begun, memory


def largest_resident() -> float:
    """Return the largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")  # what getrusage tells on Linux includes that of the parent
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(rounds: int, starts: int) -> list[dict[str, Any]]:
    """Return a row for each trainer and what is beside it; what is added is added to the callback that does nothing."""
    took = rates(rounds)
    began: dict[tuple[str, str], list[tuple[float, float]]] = {which: [] for which in took}
    for _ in track(range(starts), "starts"):
        for which in took:
            began[which].append(fresh(*which))
    rows: list[dict[str, Any]] = []
    for (trainer, beside), times in took.items():
        baseline = (trainer, WITH[0])
        differences = sorted(one - bare for one, bare in zip(times, took[baseline], strict=True))
        seconds, memory = zip(*began[trainer, beside], strict=True)
        bare_seconds, bare_memory = zip(*began[baseline], strict=True)
        rows.append(
            {
                "trainer": trainer,
                "with": OWN[trainer] if beside == WITH[1] else beside,
                "steps_per_second": 1e6 / min(times),
                "added_us": min(times) - min(took[baseline]),
                "added_us_of_rounds": differences,
                "start_seconds": statistics.median(seconds),
                "added_start_seconds": statistics.median(seconds) - statistics.median(bare_seconds),
                "memory_mb": statistics.median(memory),
                "added_memory_mb": statistics.median(memory) - statistics.median(bare_memory),
            }
        )
    return rows


def shown(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table in Markdown, for docs/reference/overhead.md."""
    print("| trainer | with | steps/s | added to a step, µs | median of the rounds, µs | start, s | resident, MB |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        added = ["", ""]
        start, memory = f"{row['start_seconds']:.1f}", f"{row['memory_mb']:.0f}"
        if row["with"] != WITH[0]:
            added = [f"{row['added_us']:+.0f}", f"{statistics.median(row['added_us_of_rounds']):+.0f}"]
            start, memory = f"{start} ({row['added_start_seconds']:+.1f})", f"{memory} ({row['added_memory_mb']:+.0f})"
        cells = [row["trainer"], row["with"], f"{row['steps_per_second']:.0f}", *added, start, memory]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--rounds", type=int, default=12, help="trainings of each, interleaved")
    parser.add_argument("--starts", type=int, default=1, help="fresh processes of each, interleaved")
    parser.add_argument("--start", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    sys.dont_write_bytecode = False  # what a start compiles here it finds there, as it does for a user
    if asked.start:
        began = trained(*asked.start, steps=FIRST)
        print(began[0], largest_resident())
        return
    rows = measured(asked.rounds, asked.starts)
    if asked.json:
        print(json.dumps({"version": 1, "rounds": asked.rounds, "starts": asked.starts, "rows": rows}, indent=2))
    else:
        shown(rows)


if __name__ == "__main__":
    main()
