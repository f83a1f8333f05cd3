"""The trainers of TRL are supervised to the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import steersman

pytestmark = pytest.mark.slow

WORDS = [f"w{i}" for i in range(60)]


@pytest.fixture
def saved(tmp_path):
    """The folder of a tiny GPT-2 and a tokenizer of sixty words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = Tokenizer(WordLevel({w: i for i, w in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    config = GPT2Config(vocab_size=64, n_positions=64, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1)
    folder = tmp_path / "model"
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def settings(tmp_path):
    """Settings that every trainer here shares: twelve steps on the CPU."""
    os.environ.setdefault("WANDB_MODE", "disabled")
    return {
        "output_dir": str(tmp_path / "run"),
        "max_steps": 12,
        "logging_steps": 2,
        "eval_strategy": "steps",
        "eval_steps": 4,
        "save_steps": 4,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "seed": 0,
    }


def _dataset(**columns):
    from datasets import Dataset

    return Dataset.from_dict(columns)


def _unsupported(journal, trainer, name):
    begin = journal(trainer, "run")[0].data
    return next((h["status"], h["reason"]) for h in begin["hyperparameters"] if h["name"] == name)


@pytest.fixture
def grpo(saved, settings):
    """Return a function that makes a GRPOTrainer whose reward is the share of even words in what it generates."""
    from trl import GRPOConfig, GRPOTrainer

    def reward(completions, **kwargs):
        return [sum(int(w[1:]) % 2 == 0 for w in c.split() if w[1:].isdigit()) / 8 for c in completions]

    def make(**more):
        prompts = _dataset(prompt=[f"w{i} w{i + 1}" for i in range(16)])
        arguments = settings | more
        config = GRPOConfig(
            per_device_train_batch_size=4, num_generations=4, max_completion_length=8, beta=0.05, **arguments
        )
        return GRPOTrainer(
            str(saved), reward_funcs=reward, args=config, train_dataset=prompts, eval_dataset=prompts.select(range(4))
        )

    return make


def test_sft_is_scored_steered_and_counted(saved, settings, act, cut, journal, rates_used):
    """An SFT run is scored at each evaluation, its rate is halved exactly, and its tokens are those TRL counts."""
    from trl import SFTConfig, SFTTrainer

    texts = _dataset(text=[" ".join(WORDS[i % 40 : i % 40 + 5 + i % 9]) for i in range(64)])
    config = SFTConfig(
        per_device_train_batch_size=4,
        max_length=32,
        lr_scheduler_type="constant",
        learning_rate=1e-3,
        load_best_model_at_end=True,
        metric_for_best_model="steersman_score",
        **settings,
    )
    trainer = SFTTrainer(str(saved), args=config, train_dataset=texts, eval_dataset=texts.select(range(8)))
    callback = steersman.supervise(trainer, act(cut(), {"trend-health": {"preset": "seed"}}, "token-accounting"))

    trainer.train()

    assert trainer.state.global_step == 12
    scores = {e.step: e.data["value"] for e in journal(trainer, "score") if e.data["decides"]}
    assert sorted(scores) == [4, 8, 12]
    assert trainer.state.best_global_step == min(scores, key=scores.get)
    assert set(rates_used[:8]) == {1e-3} and rates_used[8] == 5e-4
    ledger = next(e.data["evidence"] for e in journal(trainer, "finding") if e.data["name"] == "token-ledger")
    counted = [entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry and "loss" in entry]
    assert ledger["backpropagation_tokens"] == counted[-1]
    assert _unsupported(journal, trainer, "kl_penalty") == ("unsupported", "this trainer has none")
    assert callback.summary["best"]["step"] == trainer.state.best_global_step


def test_grpo_is_watched_by_its_reward(grpo, journal):
    """A GRPO run ends; its KL penalty is unsupported with the reason, and no rule looks at its loss by itself."""
    trainer = grpo()
    callback = steersman.supervise(trainer, {"extends": "origin", "console": False, "check_every": 2})

    trainer.train()

    assert trainer.state.global_step == 12
    status, reason = _unsupported(journal, trainer, "kl_penalty")
    assert status == "unsupported"
    assert reason.startswith("this release does not write trainer.beta; hand it over as Hyperparameter('kl_penalty'")
    findings = [e.data["name"] for e in journal(trainer, "finding")]
    assert not any("loss" in name for name in findings)
    checks = [e for e in journal(trainer, "check") if e.data["reason"] == "scheduled"]
    assert [e.step for e in checks] == [2, 4, 6, 8, 10, 12]
    assert all(e.data["reward"] is not None for e in checks)
    assert callback.summary["evaluations"] == 3
    assert {e.step for e in journal(trainer, "score", "unscored")} == {4, 8, 12}


def test_the_loss_rules_would_have_looked_if_told_to(grpo, journal):
    """That no rule looks at GRPO's loss is a decision: `loss_rules: on` takes it for what it is and finds it rising."""
    use = [{"trend-health": {"preset": "seed", "loss_rules": "on"}}]
    trainer = grpo(eval_strategy="no")
    steersman.supervise(trainer, {"extends": [], "use": use, "console": False, "check_every": 2})

    trainer.train()

    assert any("loss" in e.data["name"] for e in journal(trainer, "finding"))


def test_a_kl_penalty_handed_over_is_steered(grpo, act, cut, journal):
    """`Hyperparameter("kl_penalty", get, set)` makes the KL penalty of a GRPO run live; it is put back in the end."""
    trainer = grpo()
    beta = steersman.Hyperparameter("kl_penalty", lambda: trainer.beta, lambda v: setattr(trainer, "beta", v))
    config = act(cut(name="kl_penalty", scale=2.0), hyperparameters={"kl_penalty": {"min": 0.05, "max": 0.3}})
    steersman.supervise(trainer, config, hyperparameters=[beta])

    trainer.train()

    changes = [(e.step, e.data["old"], e.data["read_back"]) for e in journal(trainer, "adjustment")]
    assert changes == [(4, 0.05, pytest.approx(0.1))]
    assert trainer.beta == 0.05


def test_the_reward_may_choose_the_best(grpo, journal):
    """`score:` with direction higher scores GRPO's checkpoints by their reward, and the Trainer chooses by it."""
    trainer = grpo(load_best_model_at_end=True, metric_for_best_model="steersman_score")
    score = {"eval_reward": {"weight": 1.0, "direction": "higher"}}
    steersman.supervise(trainer, {"score": score, "console": False})

    trainer.train()

    rewards = {e["step"]: e["eval_reward"] for e in trainer.state.log_history if "eval_reward" in e}
    assert sorted(rewards) == [4, 8, 12]
    best = max(rewards.values())
    assert rewards[trainer.state.best_global_step] == best
    assert trainer.state.best_metric == pytest.approx(-best)
    assert Path(trainer.args.output_dir, f"checkpoint-{trainer.state.best_global_step}").is_dir()
