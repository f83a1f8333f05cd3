"""Real tiny trainings with TRL: a two-layer GPT-2 over sixty words, whose reward is what words it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, TrainerCallback

from steersman.hyperparameters import Deferred
from steersman.integrations.trl.hyperparameters import entries_of
from steersman.registry import Registry

WORDS = [f"w{i}" for i in range(60)]


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny GPT-2 with sure opinions and a tokenizer of sixty words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = Tokenizer(WordLevel({w: i for i, w in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=64, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1,
        initializer_range=0.3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("trl") / "model"
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Settings that every trainer here shares: twelve steps on the CPU."""
    os.environ.setdefault("WANDB_MODE", "disabled")
    return {
        "output_dir": str(tmp_path / "run"),
        "max_steps": 12,
        "logging_steps": 1,
        "eval_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "seed": 0,
    }


def dataset(**columns: list[Any]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(columns)


@pytest.fixture
def make_dataset() -> Callable[..., Any]:
    """Return the function that makes a data set of columns."""
    return dataset


def even(completions: list[str], **kwargs: Any) -> list[float]:
    """The share of even words."""
    return [sum(int(w[1:]) % 2 == 0 for w in c.split() if w[1:].isdigit()) / 8 for c in completions]


def low(completions: list[str], **kwargs: Any) -> list[float]:
    """The share of words below w20."""
    return [sum(int(w[1:]) < 20 for w in c.split() if w[1:].isdigit()) / 8 for c in completions]


@pytest.fixture
def rewards() -> list[Callable[..., list[float]]]:
    """Two reward functions: `even` and `low`."""
    return [even, low]


def generating(kind: str, saved: Path, settings: dict[str, Any]) -> Callable[..., Any]:
    import trl

    def make(*, model: Any = None, reward_funcs: Any = even, prompts: int = 16, parts: Any = None, **more: Any) -> Any:
        arguments = {
            "per_device_train_batch_size": 4,
            "num_generations": 4,
            "max_completion_length": 8,
            "beta": 0.05,
            **settings,
            **more,
        }
        rows = dataset(prompt=[f"w{i} w{i + 1}" for i in range(prompts)])
        config = getattr(trl, f"{kind}Config")(**arguments)
        sets = {"train_dataset": rows, "eval_dataset": rows.select(range(4))}
        trainer = getattr(trl, f"{kind}Trainer")
        return trainer(model or str(saved), reward_funcs=reward_funcs, args=config, **sets, **(parts or {}))

    return make


@pytest.fixture
def grpo(saved: Path, settings: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that makes a GRPOTrainer: one prompt a step, four completions of eight words."""
    return generating("GRPO", saved, settings)


@pytest.fixture
def rloo(saved: Path, settings: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that makes an RLOOTrainer like `grpo`."""
    return generating("RLOO", saved, settings)


@pytest.fixture
def dpo(saved: Path, settings: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that makes a DPOTrainer on pairs: even words are preferred to odd ones."""
    from trl import DPOConfig, DPOTrainer

    def make(**more: Any) -> Any:
        pairs = {
            "prompt": [f"w{i} w{i + 1}" for i in range(16)],
            "chosen": [f"w{2 * i} w{2 * i + 2}" for i in range(16)],
            "rejected": [f"w{2 * i + 1} w{2 * i + 3}" for i in range(16)],
        }
        config = DPOConfig(**{"per_device_train_batch_size": 4, "max_length": 16, **settings, **more})
        return DPOTrainer(str(saved), args=config, train_dataset=dataset(**pairs))

    return make


@pytest.fixture
def kto(saved: Path, settings: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that makes a KTOTrainer on words with a label."""
    from trl import KTOConfig, KTOTrainer

    def make(**more: Any) -> Any:
        rows = {
            "prompt": [f"w{i} w{i + 1}" for i in range(16)],
            "completion": [f"w{i + 3} w{2 * i}" for i in range(16)],
            "label": [i % 2 == 0 for i in range(16)],
        }
        config = KTOConfig(**{"per_device_train_batch_size": 4, "max_length": 16, **settings, **more})
        return KTOTrainer(str(saved), args=config, train_dataset=dataset(**rows))

    return make


class Steering(TrainerCallback):
    """Writes what a test plans, at the begin of a step, and puts what waits in force when its moment comes.

    `plan` names values by steps finished; `took` tells at which steps which names took effect. `saved` is what the
    last checkpoint would carry, or what a resumed run starts with.
    """

    def __init__(self, trainer: Any, plan: dict[int, dict[str, float]], saved: Any = None) -> None:
        self.trainer, self.plan, self.saved = trainer, plan, saved
        self.registry = Registry()
        self.took: list[tuple[int, str]] = []
        self.errors: list[str] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.registry = Registry(entries_of(self.trainer).values())
        self.errors += self.registry.restore(self.saved or {})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.saved = self.registry.save()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for name, value in self.plan.get(state.global_step, {}).items():
            written = self.registry.write(name, value, 1.0)
            self.errors += [written.error] if written.error else []
        for entry in self.registry.entries.values():
            if isinstance(entry.handle, Deferred) and entry.handle.take_effect():
                self.took.append((state.global_step, entry.name))


@pytest.fixture
def steer() -> Callable[..., Steering]:
    """Return a function that trains to the end and writes what a plan says on the way."""

    def run(trainer: Any, plan: dict[int, dict[str, float]], *, saved: Any = None, **options: Any) -> Steering:
        steering = Steering(trainer, plan, saved)
        trainer.add_callback(steering)
        trainer.train(**options)
        trainer.remove_callback(steering)
        assert steering.errors == []
        return steering

    return run


@pytest.fixture
def logged() -> Callable[..., list[Any]]:
    """Return a function that lists what a trainer logged under a name, by step."""

    def series(trainer: Any, name: str) -> list[Any]:
        return [entry[name] for entry in trainer.state.log_history if name in entry]

    return series
