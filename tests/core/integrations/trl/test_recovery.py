"""A rollback in the midst of a generation: what the undone weights said is not learnt from."""

from __future__ import annotations

import math

import pytest
from transformers import TrainerCallback

import steersman

CONFIG = {"mode": "act", "use": ["recovery"], "hyperparameters": {"learning_rate": {}}, "console": False}


class BrokenGradient(TrainerCallback):
    """The gradient of step 6 is NaN."""

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step == 5:
            next(model.parameters()).grad.fill_(math.nan)


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
@pytest.mark.parametrize(("breaks", "generated_at"), [(False, [0, 4, 8]), (True, [0, 4, 6, 8])])
def test_the_completions_of_undone_weights_are_dropped(request, journal, kind, breaks, generated_at):
    """Completions serve four steps; after the rollback at step 6 new ones are made before the next step."""
    at = []
    trainers = []

    def reward(completions, **kwargs):
        at.append(trainers[0].state.global_step)
        return [float(len(completion) % 3) for completion in completions]

    trainer = request.getfixturevalue(kind)(
        reward_funcs=reward, steps_per_generation=4, parts={"callbacks": [BrokenGradient()] if breaks else []}
    )
    trainers.append(trainer)
    steersman.supervise(trainer, CONFIG)

    trainer.train()

    assert at == generated_at
    assert [e.step for e in journal(trainer, "rollback")] == ([6] if breaks else [])
    assert all(bool(p.isfinite().all()) for p in trainer.model.parameters())
