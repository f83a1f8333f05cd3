"""A tiny GPT-2 of sixty words under TRL's GRPO: it is paid for the words that it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from attrs import frozen

from steersman_bench.steer.trainers.case import Trained, Ways
from steersman_bench.steer.trainers.setting import SETTINGS, scheduled

datasets, tokenizers, torch = map(import_module, ("datasets", "tokenizers", "torch"))
transformers, trl = map(import_module, ("transformers", "trl"))
STEPS, EVAL_EVERY = 60, 4
_WORDS, _SAID, _GROUP, _BATCH, _EACH = 60, 6, 8, 32, 4
_PROMPTS, _EVALUATED, _TESTED, _SAMPLES = 64, 16, 64, 32
_NUMBER = re.compile(r"w(\d+)")


@frozen(kw_only=True)
class Words:
    """How the policy is trained. `rate` is what the learning rate of a step is multiplied by."""

    rate: Callable[[int], float]
    lr: float = 5e-3


def various(completions: list[str], **_: Any) -> list[float]:
    """Return the reward of each completion: how many different even numbers it says, as a share of six; higher is
    better. A policy that says the same again and again, as a broken one does, earns little.
    """
    return [len({number for number in _NUMBER.findall(said) if int(number) % 2 == 0}) / _SAID for said in completions]


def words(seed: int, of: Words, ways: Ways) -> Trained:
    """Return the GRPOTrainer of 60 steps, and what it fails to earn, on the mean, on prompts of their own."""
    tokenizer = _tokenizer()
    transformers.set_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=_WORDS + 3, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=1,
        pad_token_id=0, initializer_range=0.1, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    start = ways.folder / "start"
    transformers.GPT2LMHeadModel(config).save_pretrained(start)
    model = transformers.GPT2LMHeadModel.from_pretrained(
        start
    )  # from a folder, so that the reference can be loaded from there
    arguments = trl.GRPOConfig(
        output_dir=str(ways.folder), max_steps=STEPS, per_device_train_batch_size=_BATCH, learning_rate=of.lr,
        num_generations=_GROUP, num_generations_eval=_EACH, per_device_eval_batch_size=_EVALUATED * _EACH,
        max_completion_length=_SAID, beta=0.02, eval_steps=EVAL_EVERY, save_steps=EVAL_EVERY,
        max_grad_norm=ways.clip, load_best_model_at_end=ways.load_best, gradient_checkpointing=False, seed=seed,
        **{**SETTINGS, "logging_steps": 1},
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), of.lr)
    trainer = trl.GRPOTrainer(
        model, reward_funcs=various, args=arguments, train_dataset=_prompts(seed, 0, _PROMPTS),
        eval_dataset=_prompts(seed, _PROMPTS, _EVALUATED), processing_class=tokenizer,
        optimizers=(optimizer, scheduled(optimizer, of.rate)),
    )  # fmt: skip
    trainer.remove_callback(transformers.PrinterCallback)
    asked = tokenizer(_prompts(seed, _PROMPTS + _EVALUATED, _TESTED)["prompt"][:], return_tensors="pt")["input_ids"]
    return Trained(trainer, lambda: 1 - _earned(model, tokenizer, asked))


def _prompts(seed: int, start: int, count: int) -> Any:
    pairs = ((seed + number, 7 * number + 1) for number in range(start, start + count))
    return datasets.Dataset.from_dict({"prompt": [f"w{one % _WORDS} w{other % _WORDS}" for one, other in pairs]})


def _tokenizer() -> Any:
    known = ["<pad>", "<eos>", "<unk>", *(f"w{number}" for number in range(_WORDS))]
    pieces = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: at for at, word in enumerate(known)}, unk_token="<unk>")
    )
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )


def _earned(model: Any, tokenizer: Any, asked: Any) -> float:
    """Return the mean reward of what is said to the prompts; the chance of the run is left as it was."""
    was_training = model.training
    model.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        said = model.generate(
            input_ids=asked.repeat(_SAMPLES, 1), attention_mask=torch.ones_like(asked).repeat(_SAMPLES, 1),
            do_sample=True, top_k=0, max_new_tokens=_SAID, pad_token_id=0,
        )  # fmt: skip
    model.train(was_training)
    rewards = various(tokenizer.batch_decode(said[:, asked.shape[1] :], skip_special_tokens=True))
    return sum(rewards) / len(rewards)
