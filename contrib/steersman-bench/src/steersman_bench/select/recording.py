"""Makes the recorded runs again, from seeds."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from steersman.cli.terminal import with_bar
from steersman_bench.select.families import FAMILIES

PUBLISHED, DEVELOPMENT = (1,), (100, 101)
"""The seeds of the runs that ship, and of those that rules are chosen on.

Runs of the seed 0 shipped before. The leeway of `averaged` was chosen after they were measured, so others took their
place.
"""
_LEAST_GAIN = 0.05


def remake(out: Path, *, development: bool = False) -> Mapping[str, Any]:
    """Train every run on one thread and write them all to `out` at the end; return what the file tells of itself.

    A run that lowers its test loss by less than a twentieth, or whose loss is no number, is left out. The
    development set has as many runs of each of two other seeds. Raises ModuleNotFoundError without torch.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from steersman_bench.select.training import train

    seeds = DEVELOPMENT if development else PUBLISHED
    wanted = [(seed, family, n) for seed in seeds for family, count in FAMILIES.items() for n in range(count)]
    facts, made, left_out = list[dict[str, Any]](), list[Any](), list[str]()
    with _one_thread(torch):
        for seed, family, n in with_bar(wanted, len(wanted), "Training"):
            draw = np.random.default_rng([seed, [*FAMILIES].index(family), n])
            problem = import_module(f"steersman_bench.select.families.{family}").draw(draw)
            name = f"{family}-{seed}-{n}"
            trained = train(problem)
            is_sound = bool(np.isfinite(trained.test).all() and np.isfinite(trained.task).all())
            if not is_sound or trained.test[0] - trained.test.min() < _LEAST_GAIN * trained.test[0]:
                left_out.append(name)
                continue
            parameters = sum(part.numel() for part in problem.model.parameters())
            facts.append(
                {"family": family, "name": name, "parameters": parameters, "metric": problem.metric, **problem.told,
                 **attrs.asdict(problem.settings)}
            )  # fmt: skip
            made.append(trained)
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in ("torch", "numpy")}}
    told = {"seeds": [*seeds], "development": development, "versions": versions, "left_out": left_out}
    arrays = {
        "losses": np.stack([one.validation for one in made]).astype(np.float16),
        "test": np.stack([one.test for one in made]),
        "task": np.stack([one.task for one in made]),
        "logs": np.stack([np.stack([one.loss, one.learning_rate], axis=1) for one in made]),
    }
    _write(out, {**told, "runs": facts}, arrays)
    return {**told, "runs": len(facts)}


@contextmanager
def _one_thread(torch: Any) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _write(out: Path, told: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write all or nothing: beside the file first, then in its place."""
    half = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with half.open("wb") as file:
            np.savez_compressed(file, told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8), **arrays)
        half.replace(out)
    finally:
        half.unlink(missing_ok=True)
