"""The words in which the tests of the grown `guarded` preset tell a run that is evaluated, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steersman.rails import Mode
from steersman.testing import Played, Story, a_run
from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.guarded.evaluated_rules import EvaluatedRules
from steersman_plugins.trend_health import TrendHealth

RATE = 1e-3
BEST = {"at": "best", "max_rollbacks": 20}
STEADY: tuple[float, ...] = (1.9, 1.6, 1.4, 1.25, 1.13, 1.04, 0.97, 0.92, 0.88)
"""Losses that fall as a healthy run's do, from a first loss of 2."""


def evaluated(
    trains: Sequence[float],
    evals: Sequence[float],
    start: float = 2.0,
    scale: float = 1.0,
    epoch: int | None = None,
    **more: float,
) -> Story:
    """Return a run that logs `start` first, then trains ten steps for each evaluation; `more` is in each log.

    Every loss is multiplied by `scale`; `epoch` is how many steps one has, where the trainer knows.
    """
    story = a_run(epoch, learning_rate=RATE).log(loss=start * scale, **more)
    return onward(story, trains, evals, scale, **more)


def onward(story: Story, trains: Sequence[float], evals: Sequence[float], scale: float = 1.0, **more: float) -> Story:
    """Go on with a train loss, logged five times, and an evaluation for each pair."""
    for train, measured in zip(trains, evals, strict=True):
        for _ in range(5):
            story = story.log(steps=2, loss=train * scale, **more)
        story = story.evaluate(eval_loss=measured * scale)
    return story


def played(story: Story, mode: Mode = "act", rules: EvaluatedRules | None = None, **config: Any) -> Played:
    """Play it to trend-health, with snapshots of the best evaluations."""
    strategy = TrendHealth(evaluated=rules or EvaluatedRules())
    return story.play(EvalLoss(), strategy, mode=mode, check_every="eval", **{"recovery": BEST, **config})


def rates(of: Played) -> list[tuple[int, float, str]]:
    """Return each change of the learning rate: its step, the factor, and why."""
    return [(c.step, round(c.new / c.old, 6), c.because.partition(":")[0]) for c in of.changes]


def rollbacks(of: Played) -> list[tuple[int, int]]:
    """Return each rollback that was made: the step it was made at and the one it went back to."""
    return [(e.step, e.data["to_step"]) for e in of.of("rollback")]


def found(of: Played) -> list[tuple[int, str]]:
    """Return what was found, with its step."""
    return [(f.step, f.name) for f in of.findings]


def a_silent_run(name: str) -> Story:
    """Return a run in which losses move as those of a sick one do, and which is well."""
    falling = [2 * 0.9**i for i in range(1, 13)]
    if name == "curriculum":  # the data grow harder: the train loss rises, the eval loss falls
        return evaluated([1.9, 1.6, 1.4, 1.3, 1.5, 1.6, 1.7, 1.75, 1.8, 1.8, 1.8, 1.8], falling)
    if name == "warm restarts":
        course = [1.9, 1.6, 1.4, 1.25, 1.13, 1.3, 1.2, 1.1, 1.0, 0.95, 1.08, 1.0, 0.93, 0.88, 0.84]
        return evaluated(course, [loss + 0.05 for loss in course])
    return evaluated([loss**2 / 2 for loss in falling], [0.8 + loss / 2 for loss in falling])
