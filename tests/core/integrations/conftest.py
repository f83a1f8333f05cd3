"""Real tiny trainings: a two-layer GPT-2 from a config, on prose that every Python ships."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import functools
import gc
import json
import multiprocessing
import random
import runpy
import socket
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy
import pytest
import torch
from accelerate.utils import imports as accelerate_imports
from attrs import define
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

from steersman import Adjust, hookimpl, state
from steersman.journal import JournalEntry
from steersman.readers import journal as journal_reader

torch.set_num_threads(1)  # the model is tiny; threads only wait for each other on a busy machine
accelerate_imports._is_package_available = functools.cache(accelerate_imports._is_package_available)
"""At each backward pass it looks for `lomo_optim` along the whole path; what is installed stays so."""
TEXT = "".join(topics[name] for name in sorted(topics)).encode()


def rows(count: int, *, start: int = 0, length: int = 16) -> list[dict[str, torch.Tensor]]:
    """Return `count` sequences of bytes of prose."""
    ids = torch.tensor(list(TEXT[start : start + count * length])).view(count, length)
    return [{"input_ids": row, "labels": row, "attention_mask": torch.ones_like(row)} for row in ids]


def tiny_model() -> GPT2LMHeadModel:
    """Return the same 20,000-parameter model each time; its dropout is 0.1."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=256, n_positions=16, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0,
            loss_type="ForCausalLMLoss",
        )
    )  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def frozen_heap() -> None:
    """Leave what is imported out of the full collections that the Trainer asks for at each end of a run: 0.3 s each."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def make_model() -> Callable[[], GPT2LMHeadModel]:
    """Return the function that makes the tiny model."""
    return tiny_model


@pytest.fixture
def make_rows() -> Callable[..., list[dict[str, torch.Tensor]]]:
    """Return the function that cuts prose into sequences."""
    return rows


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """Return a function that makes a Trainer of 12 steps a run: 32 sequences, batches of 8, three epochs.

    `parts` are further arguments of the Trainer, `settings` those of its TrainingArguments.
    """

    def make(
        *,
        name: str = "run",
        model: Any = None,
        eval_dataset: Any = "one",
        callbacks: Any = (),
        kind: type[Trainer] = Trainer,
        parts: Any = None,
        **settings: Any,
    ) -> Trainer:
        arguments: dict[str, Any] = {
            "output_dir": str(tmp_path / name),
            "per_device_train_batch_size": 8,
            "num_train_epochs": 3,
            "logging_steps": 2,
            "eval_strategy": "steps",
            "eval_steps": 4,
            "save_steps": 4,
            "report_to": [],
            "disable_tqdm": True,
            "learning_rate": 1e-3,
            "seed": 0,
            "use_cpu": True,
        }
        sets = {"one": rows(8, start=100_000), "none": None}
        given: dict[str, Any] = {
            "train_dataset": rows(32),
            "eval_dataset": sets[eval_dataset] if isinstance(eval_dataset, str) else eval_dataset,
            "callbacks": list(callbacks),
        }
        return kind(model or tiny_model(), TrainingArguments(**(arguments | settings)), **(given | (parts or {})))

    return make


@pytest.fixture
def eval_sets() -> dict[str, Any]:
    """Return two named evaluation sets."""
    return {"chat": rows(8, start=100_000), "code": rows(8, start=200_000)}


@define(eq=False)
class Cut:
    """Proposes one change at the checks of the given steps."""

    at: tuple[int, ...] = (4,)
    scale: float = 0.5
    name: str = "learning_rate"
    asked_at: list[int] = state([])

    @hookimpl
    def propose_adjustments(self, run, check):
        self.asked_at.append(check.step)
        return Adjust(self.name, scale=self.scale, because="a test says so") if check.step in self.at else None


@pytest.fixture
def cut() -> type[Cut]:
    """The strategy that proposes to halve the learning rate at step 4."""
    return Cut


@pytest.fixture
def act(cut: type[Cut]) -> Callable[..., dict[str, Any]]:
    """Return a function that makes a config which acts on the learning rate, with the strategies it is given."""

    def config(*strategies: object, **settings: Any) -> dict[str, Any]:
        use = ["multi-metric", "eval-loss", *(strategies or (cut(),))]
        allowed = {"learning_rate": {}}
        return {
            "extends": "no-rails",
            "mode": "act",
            "use": use,
            "hyperparameters": allowed,
            "console": False,
        } | settings

    return config


@pytest.fixture
def journal() -> Callable[..., list[JournalEntry]]:
    """Return a function that reads the journal of a trainer's last run, of the given kinds if any."""

    def read(trainer: Trainer, *kinds: str) -> list[JournalEntry]:
        entries = journal_reader.current(Path(trainer.args.output_dir) / "steersman" / "journal.jsonl")
        return [entry for entry in entries if not kinds or entry.kind in kinds]

    return read


@pytest.fixture
def rates_used(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list that fills with the learning rates AdamW computes with, one for each group of each step."""
    used: list[float] = []
    module = import_module("torch.optim.adam")
    computes = module.adam

    def recording(*tensors: Any, lr: Any, **settings: Any) -> Any:
        used.append(float(lr))
        return computes(*tensors, lr=lr, **settings)

    monkeypatch.setattr(module, "adam", recording)
    return used


@pytest.fixture
def everything() -> Callable[[Trainer], dict[str, Any]]:
    """Return a function that tells all a finished run must leave behind alike: parameters, random states, logs."""

    def told(trainer: Trainer) -> dict[str, Any]:
        return {
            "parameters": {name: p.detach().clone() for name, p in trainer.model.named_parameters()},
            "torch": torch.get_rng_state(),
            "python": random.getstate(),
            "numpy": str(numpy.random.get_state()),
            "logs": [without_clock(entry) for entry in trainer.state.log_history],
        }

    return told


def without_clock(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a log without what depends on the speed of the machine."""
    clocks = ("_runtime", "_per_second")
    return {k: v for k, v in entry.items() if not k.endswith(clocks)}


@pytest.fixture
def assert_same() -> Callable[[dict[str, Any], dict[str, Any]], None]:
    """Return an assertion that what two runs left behind is the same, bit for bit."""

    def check(one: dict[str, Any], other: dict[str, Any], names: Iterable[str] | None = None) -> None:
        for name in names or one:
            if name == "parameters":
                assert one[name].keys() == other[name].keys()
                changed = [n for n in one[name] if not torch.equal(one[name][n], other[name][n])]
                assert changed == []
            elif name == "torch":
                assert torch.equal(one[name], other[name])
            else:
                assert one[name] == other[name], name

    return check


RANK_HEAD = """
import json, os, sys
from pathlib import Path
sys.argv = [__file__, {folder!r}]
os.environ.update({environment!r})
printed = os.open({printed!r}, os.O_WRONLY | os.O_CREAT)
os.dup2(printed, 1), os.dup2(printed, 2)
import torch
import torch.distributed as dist
torch.set_num_threads(1)
out, told = Path(sys.argv[1]), dict()
"""
RANK_FOOT = """
rank = int(os.environ["RANK"])
(out / f"rank{rank}.json").write_text(json.dumps(told))
if dist.is_initialized():
    dist.destroy_process_group()
sys.stdout.flush(), sys.stderr.flush()
os._exit(0)  # the threads of gloo now and then abort an interpreter that winds down
"""


@pytest.fixture(scope="session")
def imported() -> Any:
    """Return what makes processes that have torch and transformers already: importing them is most of what a rank takes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch.distributed", "transformers.trainer", "steersman.integrations.torch.loop"])
    return context


@pytest.fixture
def on_two_ranks(tmp_path: Path, imported: Any) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that runs a script in two processes and returns what each left in the dict `told`.

    Their environment is that of `torch.distributed.run`, which test_recovery.py starts itself.
    """

    def run(script: str) -> list[dict[str, Any]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        processes = [_rank(imported, tmp_path, i, port, script) for i in range(2)]
        for process in processes:
            process.join(150)
        is_late = [process.is_alive() for process in processes]
        for process in processes:
            process.kill()
            process.join()
        said = "".join((tmp_path / f"printed{i}.txt").read_text() for i in range(2))
        assert not any(is_late), f"the ranks wait for each other: {said[-3000:]}"
        failed = any(process.exitcode for process in processes)
        assert not failed, said[max(said.find("Traceback"), 0) :][:4000]
        return [json.loads((tmp_path / f"rank{i}.json").read_text()) for i in range(2)]

    return run


def _rank(imported: Any, folder: Path, rank: int, port: int, script: str) -> Any:
    """Start one of two ranks. Each has a process of its own; what it prints goes into a file."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    environment = {**os.environ, **{name: str(value) for name, value in names.items()}, "MASTER_ADDR": "127.0.0.1"}
    head = RANK_HEAD.format(folder=str(folder), environment=environment, printed=str(folder / f"printed{rank}.txt"))
    path = folder / f"train{rank}.py"
    path.write_text(head + script + RANK_FOOT)
    process = imported.Process(target=runpy.run_path, args=(str(path),), kwargs={"run_name": "__main__"})
    process.start()
    return process
