"""Classification and regression of points drawn at random, labelled by a network that is not shown."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from attrs import evolve
from torch.nn import functional

from steersman_bench.steer.tasks.supervised import Data, Pairs, Recipe, seeded, supervised
from steersman_bench.steer.training import Training

_INPUTS, _CLASSES, _TEST, _VALIDATION = 16, 8, 3000, 500
_ACTIVATIONS: dict[str, Any] = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}


def points(seed: int, samples: int, *, label_noise: float = 0.0) -> Data:
    """Return points in 16 dimensions with one of 8 labels; `label_noise` of those trained on are drawn at random."""
    chance = seeded(seed, "points")
    first, second = torch.randn(_INPUTS, 24, generator=chance), torch.randn(24, _CLASSES, generator=chance)

    def drawn(count: int) -> Pairs:
        x = torch.randn(count, _INPUTS, generator=chance)
        return Pairs(x, (torch.tanh(x @ first / 4) @ second).argmax(1))

    test, validation, train = drawn(_TEST), drawn(_VALIDATION), drawn(samples)
    if label_noise:
        wrong = torch.rand(samples, generator=chance) < label_noise
        train = evolve(train, y=torch.where(wrong, torch.randint(_CLASSES, (samples,), generator=chance), train.y))
    return Data(train, validation, test)


def perceptron(seed: int, widths: tuple[int, ...], activation: str = "relu", *, scale: float = 1.0) -> Any:
    """Return a multi-layer perceptron from a seed; `scale` multiplies the weights it begins with.

    Its last layer begins small, so that it begins by knowing nothing rather than by being wrong.
    """
    chance, layers = seeded(seed, "model"), list[Any]()
    for number, (i, o) in enumerate(itertools.pairwise(widths)):
        layer = torch.nn.Linear(i, o)
        gain = scale * (2.0 if activation == "relu" else 1.0) ** 0.5 / i**0.5
        if number == len(widths) - 2:
            gain *= 0.1
        with torch.no_grad():
            layer.weight.copy_(gain * torch.randn(o, i, generator=chance))
            layer.bias.zero_()
        layers += [layer] if number == len(widths) - 2 else [layer, _ACTIVATIONS[activation]()]
    return torch.nn.Sequential(*layers)


def classification(
    seed: int, recipe: Recipe, *, samples: int = 3000, label_noise: float = 0.0, hidden: tuple[int, ...] = (32,),
    activation: str = "relu", bias: float = 0.0,
) -> Training:  # fmt: skip
    """Return the training of a perceptron on labelled points; `bias` is what its hidden layers begin with."""
    model = perceptron(seed, (_INPUTS, *hidden, _CLASSES), activation)
    if bias:
        with torch.no_grad():
            for layer in [layer for layer in model if isinstance(layer, torch.nn.Linear)][:-1]:
                layer.bias.fill_(bias)
    return supervised(seed, model, points(seed, samples, label_noise=label_noise), functional.cross_entropy, recipe)


def regression(seed: int, recipe: Recipe, *, samples: int = 3000, hidden: tuple[int, ...] = (32,)) -> Training:
    """Return the training of a perceptron on a smooth function of points, by squared error."""
    chance = seeded(seed, "function")
    first, second = torch.randn(8, 12, generator=chance), torch.randn(12, 1, generator=chance)

    def drawn(count: int) -> Pairs:
        x = torch.randn(count, 8, generator=chance)
        noise = 0.1 * torch.randn(count, 1, generator=chance)
        return Pairs(x, torch.sin(x @ first / 2) @ second / 3 + noise)

    test, validation, train = drawn(_TEST), drawn(_VALIDATION), drawn(samples)
    model = perceptron(seed, (8, *hidden, 1), "tanh")
    return supervised(seed, model, Data(train, validation, test), functional.mse_loss, recipe)


def linear(seed: int, recipe: Recipe) -> Training:
    """Return the training of a linear model, which begins at zero, on eight inputs that weigh up to 7, and noise."""
    chance = seeded(seed, "function")

    def drawn(count: int) -> Pairs:
        x = torch.randn(count, 8, generator=chance)
        return Pairs(x, (x @ torch.arange(8.0) + torch.randn(count, generator=chance)).unsqueeze(1))

    test, validation, train = drawn(_TEST), drawn(_VALIDATION), drawn(512)
    model = torch.nn.Linear(8, 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    return supervised(seed, model, Data(train, validation, test), functional.mse_loss, recipe)
