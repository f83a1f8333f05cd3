"""Train tiny models with TRL's GRPOTrainer, healthy and sick on purpose, and record what they log.

`python tests/benchmarks/rl_trainings.py OUT` remakes the runs of tests/runs/grpo_healthy and tests/runs/grpo_sick, a
file of compressed JSON lines each; `--tuning` makes others, of other seeds, such as the thresholds were chosen on.
Figures are rounded to five digits. A run takes five to ten seconds of one core.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from attrs import evolve, field, frozen
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, PrinterCallback
from trl import GRPOConfig, GRPOTrainer

WORDS = [f"w{i}" for i in range(60)]
LIMIT = 12
"""Words of a completion at most."""
Reward = Callable[..., list[float]]


def _numbers(completion: str) -> list[int]:
    return [int(word[1:]) for word in completion.split() if word[1:].isdigit()]


def _share(completion: str, is_right: Callable[[int], bool]) -> float:
    said = _numbers(completion)
    return sum(map(is_right, said)) / len(said) if said else 0.0


def even(completions: list[str], **_: Any) -> list[float]:
    """The share of even words."""
    return [_share(c, lambda n: n % 2 == 0) for c in completions]


def low(completions: list[str], **_: Any) -> list[float]:
    """The share of words below w20."""
    return [_share(c, lambda n: n < 20) for c in completions]


def distinct(completions: list[str], **_: Any) -> list[float]:
    """How many different words there are, as a share of six."""
    return [min(len(set(_numbers(c))), 6) / 6 for c in completions]


def brief(completions: list[str], **_: Any) -> list[float]:
    """0 at three words, less the further a completion is from that: a reward that is below 0."""
    return [-abs(len(_numbers(c)) - 3) / LIMIT for c in completions]


def has_low(completions: list[str], **_: Any) -> list[float]:
    """1 where at least half of the words are below w20, else 0: right or wrong."""
    return [float(_share(c, lambda n: n < 20) >= 0.5) for c in completions]


def ends_even(completions: list[str], **_: Any) -> list[float]:
    """1 where the last word is even, else 0."""
    return [float(bool(_numbers(c)) and _numbers(c)[-1] % 2 == 0) for c in completions]


def long(completions: list[str], **_: Any) -> list[float]:
    """The number of words as a share of the most there can be."""
    return [len(_numbers(c)) / LIMIT for c in completions]


def curt(completions: list[str], **_: Any) -> list[float]:
    """1 for no word, less the more there are: a judge that takes short for good."""
    return [1 - len(_numbers(c)) / LIMIT for c in completions]


def has_four(completions: list[str], **_: Any) -> list[float]:
    """1 where there are at least four different words, else 0."""
    return [float(len(set(_numbers(c))) >= 4) for c in completions]


def chance(completions: list[str], **_: Any) -> list[float]:
    """Nothing but chance, between 0 and 1: there is nothing to be learned."""
    return [random.random() for _ in completions]


def impossible(completions: list[str], **_: Any) -> list[float]:
    """1 where all of eight words are the same, else 0: no completion ever is."""
    return [float(len(_numbers(c)) >= 8 and len(set(_numbers(c))) == 1) for c in completions]


def noisy_judge(completions: list[str], trainer_state: Any, **_: Any) -> list[float]:
    """The share of even words, and from step 53 on a judge that adds noise of a standard deviation of 1."""
    noise = 1.0 if trainer_state.global_step >= 53 else 0.0
    return [reward + random.gauss(0.0, noise) for reward in even(completions)]


def easy(completions: list[str], **_: Any) -> list[float]:
    """1 where any word is even, else 0: nearly every completion is right from the begin."""
    return [float(any(n % 2 == 0 for n in _numbers(c))) for c in completions]


@frozen
class Training:
    """A run to make. The learning rate is `spike` times its own from two thirds of the steps on, for a tenth of them."""

    name: str
    seed: int
    rewards: tuple[Reward, ...]
    steps: int = 80
    learning_rate: float = 1.5e-3
    spike: float = 1.0
    settings: dict[str, Any] = field(factory=dict[str, Any])

    @property
    def file(self) -> str:
        return f"{self.name}-{self.seed}.jsonl.gz"


HEALTHY = {
    "even": Training("even", 0, (even,)),
    "low": Training("low", 0, (low,), settings={"steps_per_generation": 2}),
    "both": Training("both", 0, (even, low)),
    "brief": Training("brief", 0, (brief,)),
    "right-or-wrong": Training("right-or-wrong", 0, (has_low,)),
    "ends-even": Training("ends-even", 0, (ends_even,), settings={"steps_per_generation": 4}),
    "twice": Training("twice", 0, (even,), settings={"num_iterations": 2}),
    "distinct-too": Training("distinct-too", 0, (low, distinct)),
}
"""Trainings that go well, by name."""

SICK = {
    "rate-spike": Training("rate-spike", 0, (distinct,), spike=300.0),
    "rate-spike-wrong": Training("rate-spike-wrong", 0, (has_four,), spike=300.0),
    "hacked": Training("hacked", 0, (curt, distinct), settings={"reward_weights": [1.0, 0.0], "beta": 0.0}),
    "collapse": Training("collapse", 0, (low,), learning_rate=6e-2, settings={"beta": 0.0}),
    "no-penalty": Training("no-penalty", 0, (chance,), learning_rate=2e-2, settings={"beta": 1e-12}),
    "lengthens": Training("lengthens", 0, (long,), learning_rate=8e-4),
    "off-policy": Training("off-policy", 0, (even,), learning_rate=2e-2, settings={"num_iterations": 8}),
    "noisy-judge": Training("noisy-judge", 0, (noisy_judge,)),
    "too-easy": Training("too-easy", 0, (easy,), learning_rate=3e-3),
    "too-hard": Training("too-hard", 0, (impossible,)),
    "hardly-learns": Training("hardly-learns", 0, (even,), learning_rate=1e-7),
}  # fmt: skip
"""Trainings with a planted fault, by name."""

SEEDS = {"table": (101, 102, 103), "tuning": (1, 2)}


def trainings(which: str) -> Iterator[tuple[str, Training]]:
    """Yield every training of a set with the folder it belongs to."""
    for folder, made in (("grpo_healthy", HEALTHY), ("grpo_sick", SICK)):
        for training in made.values():
            for seed in SEEDS[which]:
                yield folder, evolve(training, seed=seed)


def base(folder: Path) -> Path:
    """Write a model that says three to seven words at random and ends, and its tokenizer."""
    words = Tokenizer(WordLevel({w: i for i, w in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=63, n_positions=32, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1,
            pad_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        )
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        texts = torch.full((32, 11), 1)
        labels = torch.full((32, 11), -100)
        for row in range(32):
            length = 2 + int(torch.randint(3, 8, ()))
            texts[row, :length] = torch.randint(3, 63, (length,))
            labels[row, : length + 1] = texts[row, : length + 1]
        loss = model(input_ids=texts, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def trained(training: Training, model: Path, folder: Path) -> list[dict[str, Any]]:
    """Train, and return what was logged."""
    arguments: dict[str, Any] = {
        "output_dir": str(folder), "max_steps": training.steps, "logging_steps": 1, "eval_strategy": "steps",
        "eval_steps": training.steps // 20, "save_strategy": "no", "report_to": [], "disable_tqdm": True,
        "use_cpu": True, "bf16": False, "gradient_checkpointing": False, "lr_scheduler_type": "constant",
        "learning_rate": training.learning_rate, "seed": training.seed, "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 16, "num_generations": 4, "max_completion_length": LIMIT, "beta": 0.04,
        **training.settings,
    }  # fmt: skip
    prompts = Dataset.from_dict({"prompt": [f"w{i % 60} w{(7 * i + 1) % 60}" for i in range(120)]})
    trainer = GRPOTrainer(
        str(model), reward_funcs=list(training.rewards), args=GRPOConfig(**arguments),
        train_dataset=prompts.select(range(100)), eval_dataset=prompts.select(range(100, 116)),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    if training.spike != 1.0:
        begin, length = training.steps * 2 // 3, training.steps // 10
        trainer.create_optimizer()
        trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            trainer.optimizer, lambda step: training.spike if begin <= step < begin + length else 1.0
        )
    random.seed(training.seed)
    trainer.train()
    return list(trainer.state.log_history)


def recorded(log: list[dict[str, Any]]) -> bytes:
    """Return a log as compressed JSON lines, the same bytes each time."""
    rounded = [
        {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in entry.items() if "time" not in k and "per_second" not in k}
        for entry in log
        if "train_runtime" not in entry
    ]  # fmt: skip
    return gzip.compress("".join(json.dumps(entry) + "\n" for entry in rounded).encode(), mtime=0)


def main() -> None:
    """Make what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tuning", action="store_true", help="other seeds than those of the table")
    parser.add_argument("--only", default="", help="the name of a training")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        model = base(Path(name) / "model")
        for folder, training in trainings("tuning" if asked.tuning else "table"):
            path = asked.out / folder / training.file
            if asked.only in ("", training.name) and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(recorded(trained(training, model, Path(name) / "run")))
                print(path, flush=True)


if __name__ == "__main__":
    main()
