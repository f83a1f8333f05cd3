"""What the torch side costs: the learning-rate hook, a broadcast, the non-finite watch, a snapshot and its return.

Run it: `python tests/benchmarks/torch_costs.py`, with about 3 GB of memory free. Each figure stands beside a baseline
measured in the same run, in turns, and is the fastest of several rounds: the fastest is the least disturbed.
"""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.distributed as dist
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging

from steersman import Adjust, Finding
from steersman.arbiter import Offer, Verdict
from steersman.checks import Outcome, Ruled
from steersman.integrations.torch.learning_rate import LearningRate
from steersman.integrations.torch.nonfinite import NonFinite
from steersman.integrations.torch.ranks import TorchRanks
from steersman.integrations.torch.snapshots import Snapshot

logging.set_verbosity_error()
torch.set_num_threads(1)  # steadier, and a smaller step makes the overhead a larger share
Measured = tuple[float, float]


def in_turns(baseline: Callable[[], Any], ours: Callable[[], Any], calls: int, rounds: int = 9) -> Measured:
    """Return the seconds of one call of each, the fastest of the rounds."""
    fastest = [float("inf"), float("inf")]
    for turn in range(2 * rounds + 2):
        function = (baseline, ours)[turn % 2]
        begin = perf_counter()
        for _ in range(calls):
            function()
        if turn > 1:
            fastest[turn % 2] = min(fastest[turn % 2], (perf_counter() - begin) / calls)
    return fastest[0], fastest[1]


def optimizer_of_28() -> torch.optim.Optimizer:
    """Return a fused AdamW over 28 tensors of 64 x 64, with gradients."""
    parameters = [nn.Parameter(torch.randn(64, 64)) for _ in range(28)]
    for parameter in parameters:
        parameter.grad = torch.randn(64, 64)
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


def learning_rate() -> Measured:
    """Measure an optimizer step without the hook and with a factor of one half."""
    plain, hooked = optimizer_of_28(), optimizer_of_28()
    LearningRate(hooked).write(0.0, 0.5)
    return in_turns(plain.step, hooked.step, 300)


class Constant(nn.Module):
    """A model whose forward costs nothing, so that only what watches it is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = nn.Parameter(torch.ones(()))

    def forward(self) -> torch.Tensor:
        return self.loss


def watch_beside_the_optimizer() -> Measured:
    """Measure an optimizer step without the watch and with it."""
    plain, watched, model, alone = optimizer_of_28(), optimizer_of_28(), Constant(), Constant()
    watch = NonFinite(model, watched)
    return in_turns(lambda: (alone(), plain.step()), lambda: (model(), watched.step(), watch.seen()), 300)


def training_step(watched: bool) -> Callable[[], Any]:
    """Return a step of a GPT-2 of two layers on 8 sequences of 64."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=64, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0,
            loss_type="ForCausalLMLoss",
        )
    ).train()  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    watch = NonFinite(model, optimizer) if watched else None
    ids = torch.randint(256, (8, 64))

    def step() -> None:
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if watch is not None:
            watch.seen()

    return step


def watch_beside_a_training() -> Measured:
    """Measure a training step without the watch and with it."""
    return in_turns(training_step(False), training_step(True), 4, rounds=60)


def outcome() -> Outcome:
    """Return what a check comes to that finds two things and rules on two proposals."""
    evidence = {"loss": 2.5, "recent_mean": 1.25, "ratio": 2.0}
    found = tuple(
        ("trend-health", Finding(name, "the loss rose above twice its mean", "critical", evidence)) for name in "ab"
    )
    adjust = Adjust("learning_rate", scale=0.8, at_least=1e-6, because="the loss rose above twice its mean")
    offer = Offer("trend-health", adjust)
    ruled = tuple(
        Ruled("trend-health", adjust, Verdict(offer, ruling, "inside every rail", 1e-3, 8e-4, 0.8))
        for ruling in ("accepted", "lost")
    )
    return Outcome(found, ruled)


def on_rank(rank: int, folder: str) -> None:
    """Measure a broadcast of an outcome as torch sends it, and as the ranks agree on it."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    ranks, decided, nothing = TorchRanks(), outcome(), Outcome()
    took = in_turns(
        lambda: dist.broadcast_object_list([decided if rank == 0 else nothing], src=0),
        lambda: ranks.agree(lambda: decided),
        100,
    )
    if rank == 0:
        (Path(folder) / "took").write_text(f"{took[0]} {took[1]}")
    dist.destroy_process_group()


def broadcast() -> Measured:
    """Measure on two processes."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(on_rank, (folder,), nprocs=2)
        raw, agreed = (Path(folder) / "took").read_text().split()
    return float(raw), float(agreed)


class Large:
    """A model of 100 million parameters with the momentum of SGD."""

    def __init__(self) -> None:
        self.model = nn.Sequential(*(nn.Linear(2000, 2000) for _ in range(25)))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.model(torch.randn(1, 2000)).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.momenta = [held["momentum_buffer"] for held in self.optimizer.state.values()]
        self.saved: tuple[dict[str, torch.Tensor], list[torch.Tensor]] = ({}, [])

    def clone(self) -> None:
        """Keep copies as one would by hand, and give those before back first."""
        self.saved = ({}, [])
        self.saved = ({k: v.clone() for k, v in self.model.state_dict().items()}, [v.clone() for v in self.momenta])

    def load(self) -> None:
        """Load the copies."""
        self.model.load_state_dict(self.saved[0])
        for momentum, saved in zip(self.momenta, self.saved[1], strict=True):
            momentum.copy_(saved)


@cache
def large() -> Large:
    """Return the one large model."""
    return Large()


def first_snapshot() -> Measured:
    """Measure clones and a snapshot that has its memory still to get."""
    return in_turns(large().clone, lambda: Snapshot(large().model, large().optimizer).take(), 1, rounds=6)


def next_snapshot() -> Measured:
    """Measure clones and a snapshot that takes the place of one before."""
    return in_turns(large().clone, Snapshot(large().model, large().optimizer).take, 1, rounds=6)


def restore() -> Measured:
    """Measure loading the clones and restoring the snapshot."""
    snapshot = Snapshot(large().model, large().optimizer)
    snapshot.take()
    return in_turns(large().load, snapshot.restore, 1, rounds=6)


MEASUREMENTS = {
    "learning-rate hook, a small fused AdamW step": (learning_rate, 1e6, "us", "none"),
    "non-finite watch, a small fused AdamW step": (watch_beside_the_optimizer, 1e6, "us", "none"),
    "non-finite watch, a tiny GPT-2 step": (watch_beside_a_training, 1e6, "us", "<= 1.02"),
    "a check's outcome to two ranks, against a raw broadcast": (broadcast, 1e6, "us", "<= 1.2"),
    "first snapshot of 100 M parameters + momentum, against clones": (first_snapshot, 1e3, "ms", "<= 1.2"),
    "next snapshot, against clones": (next_snapshot, 1e3, "ms", "<= 1.2"),
    "restore, against load_state_dict and copy_": (restore, 1e3, "ms", "<= 1.2"),
}


def main() -> None:
    """Measure and print."""
    table = Table("what", "baseline", "steersman", "ratio", "aim", title="What the torch side costs")
    with Progress(transient=True) as progress:
        task = progress.add_task("", total=len(MEASUREMENTS))
        for name, (measure, scale, unit, aim) in MEASUREMENTS.items():
            progress.update(task, description=name)
            baseline, ours = measure()
            table.add_row(
                name, f"{scale * baseline:.0f} {unit}", f"{scale * ours:.0f} {unit}", f"{ours / baseline:.3f}", aim
            )
            progress.advance(task)
    Console().print(table)


if __name__ == "__main__":
    main()
