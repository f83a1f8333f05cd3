"""The penalty that a real GRPO trainer reads moves, and with it its loss."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from steersman_adaptive_kl import AdaptiveKL
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

import steersman

torch.set_num_threads(1)


def even(completions, **kwargs):
    """The share of even words."""
    return [sum(int(w[1:]) % 2 == 0 for w in c.split() if w[1:].isdigit()) / 8 for c in completions]


class Betas(TrainerCallback):
    """Notes the penalty the trainer holds at the end of each step."""

    def __init__(self):
        self.seen = []

    def on_step_end(self, args, state, control, **kwargs):
        self.seen.append(self.trainer.beta)


@pytest.fixture
def grpo(tmp_path: Path) -> GRPOTrainer:
    """A GRPO trainer of 12 steps on a two-layer GPT-2 with sixty words; each step generates."""
    vocabulary = ["<pad>", "<eos>", "<unk>", *(f"w{i}" for i in range(60))]
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=64, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1,
        initializer_range=0.3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    folder = tmp_path / "model"  # TRL loads the reference model from where the policy lies
    GPT2LMHeadModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    ).save_pretrained(folder)
    settings = GRPOConfig(
        output_dir=str(tmp_path / "run"), max_steps=12, logging_steps=1, save_strategy="no", report_to=[],
        disable_tqdm=True, use_cpu=True, bf16=False, gradient_checkpointing=False, learning_rate=1e-2,
        lr_scheduler_type="constant", seed=0, beta=0.05, per_device_train_batch_size=4, num_generations=4,
        steps_per_generation=1, max_completion_length=8,
    )  # fmt: skip
    prompts = Dataset.from_dict({"prompt": [f"w{i} w{i + 1}" for i in range(16)]})
    return GRPOTrainer(str(folder), reward_funcs=even, args=settings, train_dataset=prompts)


def test_beta_of_a_real_grpo_trainer_rises_while_the_kl_is_above_its_target(grpo):
    """A high learning rate drives the KL far above a target of 1e-4: every check of three steps multiplies beta by
    1.02^3, and after the run it is the user's own again."""
    betas = Betas()
    betas.trainer = grpo
    grpo.add_callback(betas)
    steersman.supervise(
        grpo,
        {
            "mode": "act",
            "extends": "no-rails",
            "check_every": 3,
            "use": [AdaptiveKL(target=1e-4)],
            "hyperparameters": {"kl_penalty": {}},
            "console": False,
        },
    )
    grpo.train()

    rise = 1.02**3
    expected = [0.05] * 3 + [0.05 * rise] * 3 + [0.05 * rise**2] * 3 + [0.05 * rise**3] * 3
    assert betas.seen == pytest.approx(expected)
    assert grpo.beta == 0.05
