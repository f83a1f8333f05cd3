"""Two real processes over gloo: a group of completions spans both ranks, and both hold the same values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import hashlib
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer
import steersman
from steersman.hyperparameters import Deferred
from steersman.registry import Registry
from steersman.integrations.trl.hyperparameters import entries_of

def even(completions, **kwargs):
    return [sum(int(w[1:]) % 2 == 0 for w in c.split() if w[1:].isdigit()) / 8 for c in completions]

arguments = GRPOConfig(
    str(out / "run"), per_device_train_batch_size=2, num_generations=4, steps_per_generation=4, max_completion_length=8,
    max_steps=12, beta=0.05, scale_rewards="none", logging_steps=1, save_strategy="no", report_to=[], use_cpu=True,
    bf16=False, gradient_checkpointing=False, disable_tqdm=True, ddp_backend="gloo", learning_rate=1e-3, seed=0,
)
prompts = Dataset.from_dict({"prompt": [f"w{i} w{i + 1}" for i in range(16)]})
trainer = GRPOTrainer(MODEL, reward_funcs=even, args=arguments, train_dataset=prompts)
gate = steersman.reward_gate(trainer, 0.375, least_survivors=0.3)
registry, took, values = Registry(entries_of(trainer).values()), [], []

class Steering(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 2:
            for name, value in {"kl_penalty": 0.2, "temperature": 0.6, "reward_weight": 2.0, "reward_threshold": 0.9}.items():
                assert not registry.write(name, value, 1.0).error
        for entry in registry.entries.values():
            if isinstance(entry.handle, Deferred) and entry.handle.take_effect():
                took.append([state.global_step, entry.name])

trainer.add_callback(Steering())
trainer.train()
digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in trainer.model.parameters())).hexdigest()
told |= {"digest": digest, "took": took, "values": registry.values(), "gate": [gate.generations, gate.passed_whole]}
told["rewards"] = [repr(reward) for reward in trainer._logs["rewards"]["even"]]
"""


@pytest.mark.slow
def test_both_ranks_hold_the_same(saved: Path, on_two_ranks: Callable[[str], list[dict[str, Any]]]) -> None:
    """Values take effect at one step, the gate judges the same sixteen samples, the parameters are equal to the bit."""
    zero, one = on_two_ranks(f"MODEL = {str(saved)!r}\n{SCRIPT}")

    assert zero == one
    assert [step for step, _ in zero["took"]] == [4] * 4
    assert zero["values"]["temperature"] == 0.6
    assert len(zero["rewards"]) == 16
    assert zero["gate"][0] == 3
