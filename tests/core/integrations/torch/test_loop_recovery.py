"""A plain loop that diverges, and goes back."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

import steersman
from steersman.readers.journal import current
from steersman.verifying import verify

CONFIG = {
    "mode": "act",
    "use": ["eval-loss", "recovery"],
    "hyperparameters": {"learning_rate": {"min_factor": 0.25, "max_factor": 1.0}},
    "console": False,
}
STEPS, AT = 300, 152


def data(seed, count):
    """Points and what a plane makes of them, with noise of variance 0.25."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 4, generator=draws) * 2 - 1
    return x, x.sum(1, keepdim=True) + 0.5 * torch.randn(count, 1, generator=draws)


class Network(torch.nn.Module):
    """A small network that returns its loss, as models of the hub do."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))

    def forward(self, x, y):
        return {"loss": torch.nn.functional.mse_loss(self.layers(x), y)}


def train(folder: Path, kind: str, config, *, steps=STEPS, at=AT):
    """Train a small network; return its held-out loss, whether its weights are finite, and the last step."""
    torch.manual_seed(0)
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x, y = data(0, 2048)
    held_x, held_y = data(1, 512)
    loop = None
    if config is not None:
        loop = steersman.attach(optimizer, config, folder=folder, model=model, total_steps=STEPS, eval_every=15)
    losses = []
    for step in range(1, steps + 1):
        rows = torch.arange(step * 32, step * 32 + 32) % len(x)
        target = y[rows]
        if kind == "wrong labels" and at <= step < at + 15:
            target = 20 * torch.randn(target.shape, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss = model(x[rows], target)["loss"]
        loss.backward()
        if kind == "always" or (kind == "a NaN gradient" and step == at):
            next(model.parameters()).grad.fill_(math.nan)
        if kind == "a spike" and step == at:
            optimizer.param_groups[0]["lr"] = 10.0
        optimizer.step()
        if kind == "a spike":
            optimizer.param_groups[0]["lr"] = 1e-2
        losses.append(loss.item())
        if loop is not None and step % 5 == 0:
            loop.log(step, loss=sum(losses[-5:]) / 5)
        if loop is not None and step % 15 == 0:
            with torch.no_grad():
                loop.evaluate(step, **model(held_x, held_y))
        if loop is not None and loop.should_stop:
            break
    if loop is not None:
        loop.close()
    with torch.no_grad():
        held = model(held_x, held_y)["loss"].item()
    return held, all(bool(p.isfinite().all()) for p in model.parameters()), step


def rollbacks(folder):
    return [e for e in current(folder / "steersman" / "journal.jsonl") if e.kind == "rollback"]


@pytest.mark.parametrize("kind", ["a NaN gradient", "a spike", "wrong labels"])
def test_a_loop_that_diverged_ends_near_its_healthy_twin(tmp_path, kind):
    """Within 5 % of the held-out loss of the run in which nothing went wrong."""
    healthy, _, _ = train(tmp_path / "healthy", "", CONFIG)
    held, is_finite, step = train(tmp_path / "broken", kind, CONFIG)

    assert rollbacks(tmp_path / "healthy") == []
    assert (len(rollbacks(tmp_path / "broken")) > 0, is_finite, step) == (True, True, STEPS)
    assert held < 1.05 * healthy
    assert verify(tmp_path / "broken").differences == ()


@pytest.mark.parametrize(("at", "back_to"), [(150, 135), (151, 150), (152, 150), (155, 150)])
def test_a_broken_gradient_is_one_rollback_before_the_next_step(tmp_path, at, back_to):
    """Logged or not at that step, checked or not: the weights are back before the next step, once."""
    train(tmp_path, "a NaN gradient", CONFIG, steps=170, at=at)

    (back,) = rollbacks(tmp_path)
    assert (back.step, back.data["to_step"], back.data["because"]) == (at, back_to, "the gradient was NaN or infinite")
    assert verify(tmp_path).differences == ()


def test_the_loop_is_told_to_stop_and_its_weights_are_healthy(tmp_path):
    """Where every gradient is NaN the rollbacks are soon used: `should_stop`, finite weights, a mark, and the reason."""
    _, is_finite, step = train(tmp_path, "always", {**CONFIG, "recovery": {"max_rollbacks": 2}})

    assert (is_finite, step < 10, len(rollbacks(tmp_path))) == (True, True, 2)
    mark = json.loads((tmp_path / "steersman" / "stopped.json").read_text())
    assert "2 rollbacks did not help. The weights are those of step 0" in mark["because"]
