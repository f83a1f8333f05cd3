"""Policies trained on rewards that are noisy, can be cheated, or are trained with a bug."""

from __future__ import annotations

from steersman_bench.steer.case import Case
from steersman_bench.steer.tasks.bandit import Rewarded, bandit
from steersman_bench.steer.training import Training


def _noise(seed: int, sick: bool) -> Training:
    return bandit(seed, Rewarded(noise=4.0 if sick else 0.2))


def _hacking(seed: int, sick: bool) -> Training:
    return bandit(seed, Rewarded(hack=1.5 if sick else 0.0))


def _entropy_bug(seed: int, sick: bool) -> Training:
    return bandit(seed, Rewarded(entropy=-8.0 if sick else 0.0))


def _too_high(seed: int, sick: bool) -> Training:
    return bandit(seed, Rewarded(lr=0.25 if sick else 0.01))


CASES = (
    Case("reward noise", "rl", _noise),
    Case("reward hacking", "rl", _hacking),
    Case("entropy bug", "rl", _entropy_bug, diagnoses=("entropy",)),
    Case("RL, LR x25 too high", "rl", _too_high),
)
