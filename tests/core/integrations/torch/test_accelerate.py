"""A loop under Accelerate: its wrappers, its accumulation, its own checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import GradientState
from attrs import define

import steersman
from steersman import Adjust, hookimpl, state
from steersman.readers import journal as journal_reader

STEPS = 12
DECISIONS = ("score", "finding", "proposal", "adjustment")


@pytest.fixture(autouse=True)
def fresh_gradient_state() -> None:
    """Forget the dataloader of a training before this one: Accelerate would take every micro-batch for its last."""
    GradientState._reset_state()


@define(eq=False)
class Halves:
    """Halves the learning rate at the checks of the steps 4 and 8."""

    asked_at: list[int] = state([])

    @hookimpl
    def propose_adjustments(self, run: Any, check: Any) -> Any:
        self.asked_at.append(check.step)
        return Adjust("learning_rate", scale=0.5, because="a test") if check.step in (4, 8) else None


class Training:
    """A linear model with a cosine, prepared by Accelerate; two micro-batches a step, an evaluation every four steps."""

    def __init__(self, folder: Path, config: Any) -> None:
        torch.manual_seed(0)
        self.accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.01)
        self.model, self.optimizer, self.scheduler = self.accelerator.prepare(model, optimizer, scheduler)
        self.loop = steersman.attach(
            self.optimizer, config, folder=folder, scheduler=self.scheduler, total_steps=STEPS, eval_every=4
        )
        self.accelerator.register_for_checkpointing(self.loop)

    def loss(self, seed: int) -> torch.Tensor:
        inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))
        return torch.nn.functional.mse_loss(self.model(inputs), inputs.sum(1, keepdim=True))

    def run(self, until: int, *, save_at: int | None = None, folder: Path | None = None) -> None:
        for step in range(self.loop.step + 1, until + 1):
            for micro in (0, 1):
                with self.accelerator.accumulate(self.model):
                    loss = self.loss(10 * step + micro)
                    self.accelerator.backward(loss)
                    self.optimizer.step()
                    self.scheduler.step()
                    self.optimizer.zero_grad()
            assert self.loop.step == step, "a micro-batch was taken for a step"
            self.loop.log(step, loss=loss)
            if step % 4 == 0:
                self.loop.evaluate(step, loss=self.loss(0))
            if step == save_at:
                self.accelerator.save_state(str(folder))


@pytest.mark.parametrize("save_at", [4, 6, 8])
def test_a_resumed_run_is_the_straight_one(tmp_path, act, rates_used, save_at):
    """`save_state` and `load_state` carry what a resume needs: the same decisions, rates and parameters."""
    straight = Training(tmp_path / "straight", act(Halves(), "trend-health"))
    straight.run(STEPS)
    straight.loop.close()
    rates, rates_used[:] = rates_used[save_at:], []
    Training(tmp_path / "resumed", act(Halves(), "trend-health")).run(
        save_at + 1, save_at=save_at, folder=tmp_path / "saved"
    )
    rates_used.clear()

    second = Training(tmp_path / "resumed", act(Halves(), "trend-health"))
    second.accelerator.load_state(str(tmp_path / "saved"))
    second.run(STEPS)
    second.loop.close()

    assert rates_used == rates
    assert torch.equal(second.model.weight, straight.model.weight)
    one, other = (
        [(e.kind, e.step, dict(e.data)) for e in journal_reader.current(file) if e.kind in DECISIONS]
        for file in (tmp_path / name / "steersman" / "journal.jsonl" for name in ("straight", "resumed"))
    )
    assert one == other
    assert [step for kind, step, _ in one if kind == "adjustment"] == [4, 8]


def test_the_rate_is_the_factor_times_the_schedule(tmp_path, act, rates_used):
    """The factor acts inside Accelerate's wrappers, on the schedule as it would be."""
    Training(tmp_path / "plain", act(Halves(), mode="observe")).run(STEPS)
    schedule, rates_used[:] = list(rates_used), []

    Training(tmp_path / "acting", act(Halves())).run(STEPS)

    assert rates_used == schedule[:4] + [r * 0.5 for r in schedule[4:8]] + [r * 0.25 for r in schedule[8:]]


def test_an_adaptive_scheduler_is_known_inside_its_wrapper(tmp_path, act):
    """A ReduceLROnPlateau that Accelerate has wrapped is told in the plan."""
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    wrapped = accelerator.prepare(optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer))

    loop = steersman.attach(wrapped[0], act(), folder=tmp_path, scheduler=wrapped[1])

    assert loop.plan.adaptive_scheduler == "ReduceLROnPlateau"
