"""Sick language models of letters."""

from __future__ import annotations

from attrs import evolve

from steersman_bench.steer import faults
from steersman_bench.steer.case import Case
from steersman_bench.steer.tasks.language import language
from steersman_bench.steer.tasks.supervised import Recipe
from steersman_bench.steer.training import Training

_ADAMW = Recipe(optimizer="adamw", lr=3e-3, batch=32, weight_decay=0.01, rate=faults.cosine(240))


def _spike(seed: int, sick: bool) -> Training:
    return language(seed, evolve(_ADAMW, rate=faults.spike(83, 100, of=_ADAMW.rate)) if sick else _ADAMW)


def _too_high(seed: int, sick: bool) -> Training:
    recipe = evolve(_ADAMW, rate=faults.constant)
    return language(seed, evolve(recipe, lr=40 * recipe.lr) if sick else recipe)


def _too_low(seed: int, sick: bool) -> Training:
    return language(seed, evolve(_ADAMW, lr=_ADAMW.lr / 50) if sick else _ADAMW)


CASES = (
    Case("LR spike, language model", "fixable", _spike, onset=83),
    Case("LR x40 too high, language model", "fixable", _too_high),
    Case("LR /50 too low, language model", "fixable", _too_low),
)
