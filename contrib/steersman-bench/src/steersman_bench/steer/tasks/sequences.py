"""A recurrent network that must remember: the sum of the marked numbers of a sequence."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from steersman_bench.steer.tasks.supervised import Data, Pairs, Recipe, seeded, supervised
from steersman_bench.steer.training import Training


class Recurrent(torch.nn.Module):  # type: ignore[misc]
    """A plain recurrent network of rectified units that begins as `scale` times the identity. Source: Le (2015)."""

    def __init__(self, seed: int, width: int, scale: float) -> None:
        super().__init__()
        chance = seeded(seed, "model")
        self.into, self.on = torch.nn.Linear(2, width), torch.nn.Linear(width, width, bias=False)
        self.out = torch.nn.Linear(width, 1)
        with torch.no_grad():
            for layer in (self.into, self.out):
                layer.weight.copy_(0.3 * torch.randn(layer.weight.shape, generator=chance))
                layer.bias.zero_()
            self.on.weight.copy_(scale * torch.eye(width))

    def forward(self, x: Any) -> Any:
        state = torch.relu(self.into(x[:, 0]))
        for at in range(1, x.shape[1]):
            state = torch.relu(self.into(x[:, at]) + self.on(state))
        return self.out(state)


def remembering(seed: int, recipe: Recipe, *, scale: float = 1.0, length: int = 12, width: int = 16) -> Training:
    """Return the training of a recurrent network; `scale` above 1 makes its gradients explode."""
    chance = seeded(seed, "sequences")

    def drawn(count: int) -> Pairs:
        numbers = torch.randn(count, length, generator=chance)
        marked = (torch.rand(count, length, generator=chance) < 0.3).float()
        return Pairs(torch.stack([numbers, marked], 2), (numbers * marked).sum(1, keepdim=True))

    test, validation, train = drawn(2000), drawn(400), drawn(3000)
    return supervised(seed, Recurrent(seed, width, scale), Data(train, validation, test), functional.mse_loss, recipe)
