"""What a step guard costs: a training step without it, with it, and how often a GPU is waited for.

Run it: `python tests/benchmarks/step_guard.py [--width N] [--rows N] [--optimizer sgd]`. On a GPU it trains there, checks that what it
clips and skips is right, and counts the waits that torch knows of (`torch.cuda.set_sync_debug_mode`). Each figure
stands beside its baseline, measured in the same run and in turns, and is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

import steersman
from steersman_plugins.step_guard import StepGuarding

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CONFIG = {"use": [StepGuarding()], "console": False, "extends": "no-rails", "check_every": 1_000_000}


class Training:
    """A stack of linear layers, perhaps under a guard; `step` is forward, backward and optimizer step."""

    def __init__(self, width: int, rows: int, by: str, mode: str | None, folder: Path) -> None:
        torch.manual_seed(0)
        layers = [part for _ in range(12) for part in (nn.Linear(width, width), nn.GELU())]
        self.model = nn.Sequential(*layers, nn.Linear(width, 1)).to(DEVICE)
        make: Any = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[by]
        self.optimizer = make(self.model.parameters(), lr=1e-4, fused=True)
        self.batch = torch.randn(rows, width, device=DEVICE)
        self.loop: Any = None
        if mode is not None:
            config = CONFIG if mode == "act" else {**CONFIG, "use": ["eval-loss"]}
            self.loop = steersman.attach(self.optimizer, {**config, "mode": "act"}, folder=folder, model=self.model)

    def step(self, factor: float = 1.0) -> None:
        self.optimizer.zero_grad()
        (self.model(self.batch).square().mean() * factor).backward()
        self.optimizer.step()


def seconds(training: Training, steps: int) -> float:
    """Return the seconds of a step, all of it on the device included."""
    wait = torch.cuda.synchronize if DEVICE == "cuda" else lambda: None
    wait()
    begin = perf_counter()
    for _ in range(steps):
        training.step()
    wait()
    return (perf_counter() - begin) / steps


def waits(steps: Callable[[], None]) -> int | None:
    """Return how often the host waited for the GPU; None without one."""
    if DEVICE != "cuda":
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        steps()
        torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


def acts_rightly(training: Training) -> bool:
    """Whether a NaN moves no weight, and a gradient 100 times too large is clipped and counted."""
    training.loop.log(training.loop.step, loss=1.0)
    before = [p.detach().clone() for p in training.model.parameters()]
    training.step(math.nan)
    is_same = all(map(torch.equal, before, training.model.parameters()))
    training.step(100.0)
    training.loop.log(training.loop.step, loss=1.0)
    history = training.loop.session.supervisor.history
    return is_same and (history["steps_skipped"].latest, history["steps_clipped"].latest) == (1.0, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1024 if DEVICE == "cuda" else 256)
    parser.add_argument("--rows", type=int, default=8192 if DEVICE == "cuda" else 512, help="rows of a batch")
    parser.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw", help="sgd has a bound of its own")
    parser.add_argument("--steps", type=int, default=20, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        every = {
            mode or "nobody": Training(asked.width, asked.rows, asked.optimizer, mode, Path(name) / str(mode))
            for mode in (None, "off", "act")
        }
        taken: dict[str, list[float]] = {who: [] for who in every}
        for turn in range(asked.rounds + 1):
            for who, training in every.items():
                took = seconds(training, asked.steps)
                if turn:  # the first warms up
                    taken[who].append(took)
        waited = waits(lambda: [every["act"].step() for _ in range(64)] and None)
        alone = waits(lambda: [every["nobody"].step() for _ in range(64)] and None)
        is_right = acts_rightly(every["act"])
        for training in every.values():
            if training.loop is not None:
                training.loop.close()
    plain, off, guarded = (1000 * statistics.median(taken[who]) for who in ("nobody", "off", "act"))
    told = {
        "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu",
        "parameters": sum(p.numel() for p in every["act"].model.parameters()),
        "ms of a step alone": round(plain, 3),
        "with Steersman, no guard": round(off, 3),
        "with the guard": round(guarded, 3),
        "ratio of guard to no guard": round(guarded / off, 3),
        "ratio of guard to alone": round(guarded / plain, 3),
        "waits in 64 steps, guarded": waited,
        "waits in 64 steps, alone": alone,
        "clips and skips rightly": is_right,
    }
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
