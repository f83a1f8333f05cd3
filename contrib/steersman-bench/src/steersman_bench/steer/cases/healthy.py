"""Runs that are well, also those that do not look it: slow starters, plateaus, noisy evaluations, losses that rise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import evolve
from torch.nn import functional

from steersman_bench.steer import faults
from steersman_bench.steer.case import Case
from steersman_bench.steer.tasks.bandit import Rewarded, bandit
from steersman_bench.steer.tasks.classification import classification, linear, perceptron, regression
from steersman_bench.steer.tasks.language import language
from steersman_bench.steer.tasks.sequences import remembering
from steersman_bench.steer.tasks.supervised import Data, Pairs, Recipe, seeded, supervised
from steersman_bench.steer.tasks.transformer import transformer
from steersman_bench.steer.training import Training

_SGD, _ADAMW = Recipe(optimizer="sgd", lr=0.02), Recipe(optimizer="adamw", lr=3e-3, weight_decay=0.01)
_COSINE = faults.cosine(240)


def _parity(seed: int) -> Training:
    """Two signs multiplied: nothing for a while, then all at once."""
    chance = seeded(seed, "parity")

    def drawn(count: int) -> Pairs:
        x = torch.randn(count, 8, generator=chance)
        return Pairs(x, (x[:, 0] * x[:, 1] > 0).long())

    test, validation, train = drawn(3000), drawn(500), drawn(3000)
    model = perceptron(seed, (8, 24, 2), "tanh", scale=0.5)
    recipe = Recipe(optimizer="adam", lr=0.01, steps=280)
    return supervised(seed, model, Data(train, validation, test), functional.cross_entropy, recipe)


def _restarts(step: int) -> float:
    """A cosine that begins anew every eighty steps: the loss rises at each."""
    return faults.cosine(80)((step - 1) % 80 + 1)


def _harder(step: int, x: Any, y: Any, chance: torch.Generator) -> tuple[Any, Any]:
    """Nothing is changed in the first half; then a tenth of the inputs is blotted out, as an augmentation does it."""
    if step <= 120:
        return x, y
    kept = torch.rand(x.shape, generator=chance) >= 0.1
    return x * kept / 0.9, y


def _well(name: str, make: Callable[[int], Training]) -> Case:
    return Case(name, "healthy", lambda seed, sick: make(seed))


CASES = (
    _well("perceptron, SGD", lambda seed: classification(seed, _SGD)),
    _well("perceptron, SGD, cosine", lambda seed: classification(seed, evolve(_SGD, rate=_COSINE))),
    _well("perceptron, SGD, steps", lambda seed: classification(seed, evolve(_SGD, rate=faults.stairs(240)))),
    _well("perceptron, SGD without momentum", lambda seed: classification(seed, evolve(_SGD, lr=0.2, momentum=0.0))),
    _well("perceptron, AdamW", lambda seed: classification(seed, _ADAMW)),
    _well("perceptron, RMSprop, cosine",
          lambda seed: classification(seed, Recipe(optimizer="rmsprop", lr=3e-3, rate=_COSINE))),
    _well("perceptron, batches of 256", lambda seed: classification(seed, evolve(_SGD, lr=0.1, batch=256, steps=160))),
    _well("perceptron, batches of 4", lambda seed: classification(seed, evolve(_ADAMW, lr=2e-3, batch=4))),
    _well("20 % wrong labels", lambda seed: classification(seed, _SGD, label_noise=0.2)),
    _well("evaluated on 16 examples", lambda seed: classification(seed, evolve(_SGD, validation=16))),
    _well("slow starter, deep sigmoids",
          lambda seed: classification(seed, Recipe(optimizer="adam", lr=3e-3), hidden=(24, 24, 24),
                                      activation="sigmoid")),
    _well("plateau, then a drop", _parity),
    _well("warm restarts", lambda seed: classification(seed, evolve(_SGD, lr=0.05, rate=_restarts))),
    _well("data made harder in the middle", lambda seed: classification(seed, evolve(_SGD, batches=_harder))),
    _well("few data, weight decay",
          lambda seed: classification(seed, Recipe(optimizer="adamw", lr=3e-3, weight_decay=0.3), samples=500)),
    _well("linear regression from zero, SGD", lambda seed: linear(seed, Recipe(lr=0.02, momentum=0.0))),
    _well("regression, SGD", lambda seed: regression(seed, Recipe(lr=0.05))),
    _well("regression, Adam, large loss",
          lambda seed: regression(seed, Recipe(optimizer="adam", lr=0.01, rate=_COSINE))),
    _well("recurrent network", lambda seed: remembering(seed, Recipe(lr=0.001, momentum=0.0))),
    _well("language model, AdamW", lambda seed: language(seed, _ADAMW)),
    _well("language model, linear schedule with warm-up",
          lambda seed: language(seed, evolve(_ADAMW, lr=6e-3, rate=faults.linear(240, 24), warmup=24))),
    _well("transformer, warm-up and cosine",
          lambda seed: transformer(seed, evolve(_ADAMW, lr=0.01, steps=200, rate=faults.cosine(200, 20), warmup=20))),
    _well("policy on rewards", lambda seed: bandit(seed, Rewarded())),
    _well("policy on rewards, no KL penalty", lambda seed: bandit(seed, Rewarded(kl_penalty=0.0, lr=0.02))),
)  # fmt: skip
