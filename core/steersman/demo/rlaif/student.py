"""The student: a tiny GPT-2 with a tokenizer of its own, which has read Python's documentation once."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

_VOCABULARY, _LENGTH = 512, 64
_STEPS, _BATCH = 200, 16


def text() -> str:
    """Return the prose that every Python ships: what `help()` shows of its topics."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def prompts(count: int, start: int = 0) -> list[str]:
    """Return beginnings of sentences, `count` of them, from the `start`-th on."""
    lines = [line.split() for line in text().splitlines() if line[:1].isupper() and len(line) > 50]
    return [" ".join(words[:4]) for words in lines[:: max(1, len(lines) // 400)]][start : start + count]


def save(folder: Path) -> None:
    """Write the tokenizer and the model into `folder`, after one short training on the prose."""
    tokenizer = _tokenizer()
    _model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    specials = ["<pad>", "<end>"]
    pieces.train_from_iterator(
        [text()],
        trainers.BpeTrainer(
            vocab_size=_VOCABULARY, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="<pad>", eos_token="<end>", padding_side="left", model_max_length=_LENGTH
    )


def _model(tokenizer: Any) -> Any:
    torch, transformers = import_module("torch"), import_module("transformers")
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=_VOCABULARY,
            n_positions=_LENGTH,
            n_embd=64,
            n_layer=2,
            n_head=4,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
    )
    model.config.loss_type = "ForCausalLMLoss"
    ids = torch.tensor(tokenizer(text(), verbose=False)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(_STEPS):
        starts = torch.randint(len(ids) - _LENGTH, (_BATCH,)).tolist()
        batch = torch.stack([ids[start : start + _LENGTH] for start in starts])
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()
