"""The words in which the tests of trend-health tell a run and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steersman.testing import Played, Story, a_run

SIX = {
    "learning_rate": 1e-4,
    "kl_penalty": 0.15,
    "max_grad_norm": 0.5,
    "reward_weight": 1.0,
    "reward_threshold": 0.1,
    "temperature": 1.0,
}
"""The six hyperparameters of the origin, each far from its bounds."""


def epochs(*each: Mapping[str, Any], **hyperparameters: float) -> Story:
    """Return a run of epochs of 8 steps."""
    story = a_run(8, **hyperparameters)
    for metrics in each:
        story = story.epoch(**metrics)
    return story


def rules(played: Played) -> list[str]:
    return [found.name for found in played.findings]


def offers(played: Played, because: str | None = None) -> set[tuple[str, str, float | None, float | None]]:
    """Return each change that is proposed, or those for one reason, with its bounds."""
    wanted = (p for p in played.proposals if because in (None, p.because))
    return {(p.hyperparameter, p.change, p.at_least, p.at_most) for p in wanted}


def changes(played: Played) -> dict[str, tuple[float, float]]:
    return {change.hyperparameter: (change.old, change.new) for change in played.changes}


def scheduled(played: Played) -> list[Mapping[str, Any]]:
    return [entry.data for entry in played.of("check") if entry.data["reason"] == "scheduled"]
