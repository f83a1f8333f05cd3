"""A run in which much happens, so that whatever a strategy looks for is there to see."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

from steersman.testing.events import Event
from steersman.testing.story import a_run

VALUES: Mapping[str, float] = {
    "learning_rate": 1e-4,
    "max_grad_norm": 1.0,
    "kl_penalty": 0.1,
    "reward_weight": 1.0,
    "reward_threshold": 0.1,
    "temperature": 1.0,
    "weight_decay": 0.1,
}
"""The hyperparameters of the run, all of them live."""


@functools.cache
def eventful(*, finite: bool = False) -> tuple[Event, ...]:
    """Return the events of a run that learns, stalls, overfits, spikes, is NaN once unless `finite`, and diverges."""
    story = a_run(steps_per_epoch=10, **VALUES)
    for i, epoch in enumerate(_CURVE):
        loss, eval_loss, reward = epoch or ((2.0, 2.3, 0.2) if finite else (math.nan, math.nan, math.nan))
        noise = 0.03 * (-1) ** i
        story = (
            story.takes(30.0)
            .spent("generation", tokens=1000 + 10 * i, seconds=2.0, samples=8)
            .spent("backpropagation", tokens=4000, seconds=5.0, samples=8)
            .spent("teacher", tokens=300, seconds=1.0, samples=4, received=700)
            .epoch(
                logs=2,
                loss=(loss + noise, loss - noise),
                grad_norm=(1.0 + loss, 1.0 + loss / 2),
                learning_rate=1e-4 * (1 - i / 30),
                reward=(reward, reward + noise),
                reward_std=0.1 + abs(noise),
                kl=0.02 * i,
                entropy=2.0 - 0.05 * i,
            )
            .evaluate(eval_loss=eval_loss, eval_accuracy=1 / (1 + abs(eval_loss)), eval_chat_loss=eval_loss + 0.1)
            .saved()
        )
    return story.events


_CURVE: tuple[tuple[float, float, float] | None, ...] = (
    (3.0, 3.1, 0.10), (2.4, 2.6, 0.15), (2.0, 2.3, 0.22), (1.7, 2.1, 0.30), (1.5, 2.0, 0.34), (1.4, 1.98, 0.35),
    (1.38, 1.98, 0.351), (1.37, 1.981, 0.35), (1.2, 2.05, 0.36), (1.0, 2.2, 0.40), (0.8, 2.4, 0.45), (0.7, 2.6, 0.44),
    (4.0, 5.0, 0.10), (2.0, 2.4, 0.20), None, (1.8, 2.2, 0.25), (1.5, 1.97, 0.33), (1.3, 1.9, 0.38),
    (1.2, 1.85, 0.40), (1.1, 1.8, 0.42), (3.0, 3.5, 0.12), (6.0, 7.0, 0.05), (9.0, 9.5, 0.02), (9.5, 9.9, 0.01),
)  # fmt: skip
"""Train loss, eval loss and reward of each epoch; None is the epoch in which all of them are NaN."""
