"""The recommended configuration in a plain loop: a fault of the learning rate is mended, and the journal tells why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import steersman
from steersman.readers.journal import current
from steersman.verifying import verify

STEPS, EVERY, AT = 300, 15, 200


def train(folder: Path, scale: float = 1.0, *, by: str = "adam", spike: bool = True, supervised: bool = True) -> float:
    """Train a small network, every loss times `scale`, with 300 times the rate for five; return its held-out loss.

    SGD without momentum at a rate divided by `scale` takes the same steps, and so does Adam at its own rate.
    """
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=0.003, eps=1e-8 * scale)
    if by == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05 / scale)
    x = torch.rand(2048, 4) * 2 - 1
    y = x.sum(1, keepdim=True) + 0.5 * torch.randn(2048, 1)
    config = {"extends": "recommended", "console": False}
    loop = None
    if supervised:
        loop = steersman.attach(optimizer, config, folder=folder, model=model, total_steps=STEPS, eval_every=EVERY)

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        return scale * torch.nn.functional.mse_loss(model(x[rows]), y[rows])

    held_out = torch.arange(1536, 2048)
    for step in range(1, STEPS + 1):
        loss = loss_of(torch.arange(step * 32, step * 32 + 32) % 1536)
        optimizer.zero_grad()
        loss.backward()
        is_faulty = spike and AT <= step < AT + 5
        rate = optimizer.param_groups[0]["lr"]
        optimizer.param_groups[0]["lr"] = rate * (300 if is_faulty else 1)
        optimizer.step()
        optimizer.param_groups[0]["lr"] = rate
        if loop is not None and step % 5 == 0:
            loop.log(step, loss=loss.detach())
        if loop is not None and step % EVERY == 0:
            with torch.no_grad():
                loop.evaluate(step, loss=loss_of(held_out))
    if loop is not None:
        loop.close()
    with torch.no_grad():
        return float(loss_of(held_out)) / scale


def decided(folder: Path) -> list[tuple[object, ...]]:
    """Return every decision of a run, without the figures in the words."""
    names = ("strategy", "name", "severity", "action", "hyperparameter", "change", "verdict", "to_step", "factor")
    entries = current(folder / "steersman" / "journal.jsonl")
    kinds = ("finding", "proposal", "adjustment", "rollback")
    return [
        (e.step, e.kind, *(e.data.get(n) for n in names))
        for e in entries
        if e.kind in kinds and e.data.get("name") != "token-ledger"
    ]


def clipped(folder: Path) -> float:
    """Return how many steps were clipped."""
    entries = current(folder / "steersman" / "journal.jsonl")
    return sum(e.data["metrics"].get("steps_clipped", 0.0) for e in entries if e.kind == "record")


def test_a_spike_of_the_learning_rate_is_mended_and_replay_decides_the_same(tmp_path: Path) -> None:
    """It goes back to the best evaluation at the next one, ends within 3 % of its twin, 30 % off without; and verifies."""
    twin = train(tmp_path / "twin", spike=False)
    mended, broken = train(tmp_path / "mended"), train(tmp_path / "broken", supervised=False)

    backs = [
        (e.step, e.data["strategy"])
        for e in current(tmp_path / "mended/steersman/journal.jsonl")
        if e.kind == "rollback"
    ]
    assert backs[0] == (210, "trend-health")
    assert mended < 1.03 * twin
    assert broken > 1.3 * twin
    assert verify(tmp_path / "mended").differences == verify(tmp_path / "twin").differences == ()


@pytest.mark.parametrize("by", ["adam", "sgd"])
def test_the_unit_of_the_loss_changes_no_decision(tmp_path: Path, by: str) -> None:
    """1024 times the loss and the gradients at a rate of a 1024th, exact in floating point: the same decisions.

    Adam diverges in the spike, and goes back; what SGD moves is bounded step by step.
    """
    one, other = train(tmp_path / "one", by=by), train(tmp_path / "other", 1024.0, by=by)

    assert decided(tmp_path / "one") if by == "adam" else clipped(tmp_path / "one") >= 5
    assert (decided(tmp_path / "one"), clipped(tmp_path / "one"), one) == (
        decided(tmp_path / "other"), clipped(tmp_path / "other"), other
    )  # fmt: skip
