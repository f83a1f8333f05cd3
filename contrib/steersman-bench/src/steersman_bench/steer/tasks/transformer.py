"""A transformer of one layer with its norms after the sums, as it was first described: it wants a warm-up."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from steersman_bench.steer.tasks.language import LETTERS, windows
from steersman_bench.steer.tasks.supervised import Recipe, seeded, supervised
from steersman_bench.steer.training import Training

_CONTEXT = 12


class Transformer(torch.nn.Module):  # type: ignore[misc]
    """The next letter from the last twelve. Source: Vaswani et al. (2017)."""

    def __init__(self, seed: int, width: int, layers: int) -> None:
        super().__init__()
        chance = seeded(seed, "model")
        self.letters, self.places = torch.nn.Embedding(LETTERS, width), torch.nn.Embedding(_CONTEXT, width)
        self.looks = torch.nn.ModuleList(torch.nn.Linear(width, 3 * width) for _ in range(layers))
        self.thinks = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(layers))
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(2 * layers))
        self.out = torch.nn.Linear(width, LETTERS)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() > 1:
                    size = 0.5 if "letters" in name or "places" in name else parameter.shape[1] ** -0.5
                    parameter.copy_(size * torch.randn(parameter.shape, generator=chance))
                elif "norms" not in name:
                    parameter.zero_()

    def forward(self, x: Any) -> Any:
        state = self.letters(x) + self.places.weight
        for number, (look, think) in enumerate(zip(self.looks, self.thinks, strict=True)):
            query, key, value = look(state).chunk(3, -1)
            seen = torch.softmax(query @ key.transpose(1, 2) / query.shape[-1] ** 0.5, -1) @ value
            state = self.norms[2 * number](state + seen)
            state = self.norms[2 * number + 1](state + torch.relu(think(state)))
        return self.out(state[:, -1])


def transformer(seed: int, recipe: Recipe, *, width: int = 24, layers: int = 1, samples: int = 20_000) -> Training:
    """Return the training of a transformer of letters."""
    data = windows(seed, samples, _CONTEXT)
    return supervised(seed, Transformer(seed, width, layers), data, functional.cross_entropy, recipe)
