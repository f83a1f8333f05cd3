"""Language models of characters, on the texts of `pydoc_data.topics`, which every Python ships."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional

from steersman_bench.steer.tasks.supervised import Data, Pairs, Recipe, seeded, supervised
from steersman_bench.steer.training import Training

_ALPHABET = "\n abcdefghijklmnopqrstuvwxyz.,()\"'_:=-*`[]0"
LETTERS = len(_ALPHABET)
"""How many letters there are."""
_CONTEXT = 8


@functools.cache
def text() -> Any:
    """Return the letters of the texts as numbers; what is no letter of ours is a space."""
    from pydoc_data.topics import topics

    known = {letter: number for number, letter in enumerate(_ALPHABET)}
    joined = " ".join(topics[name] for name in sorted(topics)).lower()
    return torch.tensor([known.get(letter, 1) for letter in joined[:120_000]])


def windows(seed: int, samples: int, context: int) -> Data:
    """Return stretches of text with the letter after each; those for the test are of a part of their own."""
    letters, chance = text(), seeded(seed, "text")

    def drawn(count: int, begin: float, end: float) -> Pairs:
        span = int((end - begin) * len(letters)) - context - 1
        starts = int(begin * len(letters)) + torch.randint(span, (count,), generator=chance)
        at = starts[:, None] + torch.arange(context + 1)
        return Pairs(letters[at][:, :-1], letters[at][:, -1])

    return Data(drawn(samples, 0, 0.8), drawn(500, 0.8, 0.9), drawn(2500, 0.9, 1))


class LetterModel(torch.nn.Module):  # type: ignore[misc]
    """The next letter from the last eight: embeddings, one hidden layer. Source: Bengio et al. (2003)."""

    def __init__(self, seed: int, width: int) -> None:
        super().__init__()
        chance = seeded(seed, "model")
        self.letters = torch.nn.Embedding(LETTERS, 8)
        self.hidden, self.out = torch.nn.Linear(8 * _CONTEXT, width), torch.nn.Linear(width, LETTERS)
        with torch.no_grad():
            for parameter in self.parameters():
                size = 1.0 if parameter.dim() < 2 or parameter is self.letters.weight else parameter.shape[1] ** -0.5
                parameter.copy_(size * torch.randn(parameter.shape, generator=chance) * (parameter.dim() > 1))

    def forward(self, x: Any) -> Any:
        return self.out(torch.relu(self.hidden(self.letters(x).flatten(1))))


def language(seed: int, recipe: Recipe, *, samples: int = 20_000, width: int = 64) -> Training:
    """Return the training of a language model of letters."""
    data = windows(seed, samples, _CONTEXT)
    return supervised(seed, LetterModel(seed, width), data, functional.cross_entropy, recipe)
