"""The models: a perceptron, a small convolution, and two that read a sequence."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from steersman_bench.select.families.problem import Generator

Activation = Literal["relu", "tanh", "silu"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


def seeded(draw: Generator) -> None:
    """Make what torch draws from now on depend on `draw` alone."""
    torch.default_generator.manual_seed(int(draw.integers(2**31)))


def perceptron(inputs: int, hidden: int, layers: int, outputs: int, activation: Activation) -> Any:
    """Return a perceptron; with no layers it is linear."""
    parts: list[nn.Module] = []
    width = inputs
    for _ in range(layers):
        parts += [nn.Linear(width, hidden), _ACTIVATIONS[activation]()]
        width = hidden
    return nn.Sequential(*parts, nn.Linear(width, outputs))


def convolution(channels: int, classes: int) -> Any:
    """Return a network of two convolutions over a series of one channel."""
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv1d(1, channels, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(channels, 2 * channels, 5, padding=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Linear(8 * channels, classes),
    )


class Recurrent(nn.Module):  # type: ignore[misc]
    """A gated recurrent unit. With `tokens` it reads tokens and predicts the next at each place, else a series."""

    def __init__(self, width: int, outputs: int, tokens: int | None = None) -> None:
        super().__init__()
        self.read: nn.Module = nn.Embedding(tokens, width) if tokens else nn.Unflatten(1, (-1, 4))
        self.unit = nn.GRU(width if tokens else 4, width, batch_first=True)
        self.tell = nn.Linear(width, outputs)
        self.each = tokens is not None

    def forward(self, inputs: Any) -> Any:
        states, _ = self.unit(self.read(inputs))
        return self.tell(states if self.each else states[:, -1])


class Attending(nn.Module):  # type: ignore[misc]
    """A transformer of one layer that predicts the next token at each place."""

    def __init__(self, width: int, tokens: int, length: int) -> None:
        super().__init__()
        self.read, self.place = nn.Embedding(tokens, width), nn.Parameter(0.02 * torch.randn(length, width))
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.tell = nn.Linear(width, tokens)

    def forward(self, inputs: Any) -> Any:
        state = self.read(inputs) + self.place
        query, key, value = self.ask(self.first(state)).unflatten(-1, (2, -1)).transpose(1, 2).chunk(3, dim=-1)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        state = state + self.join(seen.transpose(1, 2).flatten(-2))
        return self.tell(state + self.think(self.second(state)))
