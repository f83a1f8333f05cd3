"""How far a step of SGD may move the weights, in numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

import steersman
from steersman.integrations.torch.largest_move import norm_that_moves


def weight(*values):
    made = torch.nn.Parameter(torch.tensor(values))
    made.grad = torch.ones_like(made)
    return made


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({"lr": 0.1}, 5.0),  # a tenth of 5, over the rate
        ({"lr": 0.1, "momentum": 0.75}, 1.25),
        ({"lr": 0.1, "momentum": 0.75, "dampening": 0.75}, 5.0),
        ({"lr": torch.tensor(0.1)}, 5.0),
        ({"lr": 0.0}, math.inf),
    ],
)
def test_the_norm_that_moves_by_a_tenth(options, norm):
    """Weights of norm 5 are moved by 0.5, which a momentum of 0.75 makes of a quarter; a rate of 0 moves nothing."""
    weights = weight(3.0, 4.0)
    assert norm_that_moves(0.1, torch.optim.SGD([weights], **options), [weights], "cpu").item() == pytest.approx(norm)


def test_the_highest_rate_counts_and_weights_of_zero_are_taken_as_small():
    """A second group of 10 times the rate leaves a tenth; four weights of 0 are taken as 0.3 each, a norm of 0.6."""
    one, other, zeros = weight(3.0, 4.0), weight(0.0), weight(0.0, 0.0, 0.0, 0.0)
    two = torch.optim.SGD([{"params": [one], "lr": 0.1}, {"params": [other], "lr": 1.0}])
    assert norm_that_moves(0.1, two, [one, other], "cpu").item() == pytest.approx(0.5)
    assert norm_that_moves(0.5, torch.optim.SGD([zeros], lr=0.1), [zeros], "cpu").item() == pytest.approx(3.0)
    other.grad = None  # a group without a gradient moves nothing
    assert norm_that_moves(0.1, two, [one], "cpu").item() == pytest.approx(5.0)


def test_an_optimizer_that_does_not_move_by_the_size_of_gradients_is_left_alone():
    """Adam divides by it: to scale its gradients down bounds nothing."""
    weights = weight(3.0, 4.0)
    assert norm_that_moves(0.1, torch.optim.Adam([weights], lr=1.0), [weights], "cpu") is None


@pytest.mark.parametrize(("largest", "moved"), [(0.1, 0.5), (None, 40.0)])
def test_a_step_moves_the_weights_by_a_tenth_at_most(tmp_path, largest, moved):
    """A gradient of 400 at a rate of 0.1 moves weights of norm 5 by 40, or by 0.5; one of 4 by 0.4 in any case."""
    run = Run(tmp_path, largest)
    assert run.step(400.0) == pytest.approx((moved, float(largest is not None)))
    assert run.step(4.0) == pytest.approx((0.4, 0.0), abs=1e-6)


def test_a_linear_model_that_begins_at_zero_is_not_held_up(tmp_path):
    """It comes to weights of 700 in 200 steps, with and without the bound."""
    features = torch.randn(512, 8, generator=torch.Generator().manual_seed(1))
    targets = features @ (100 * torch.arange(8.0).unsqueeze(1))
    ends = []
    for largest in (0.1, None):
        model = torch.nn.Linear(8, 1, bias=False)
        torch.nn.init.zeros_(model.weight)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        config = {"mode": "act", "use": [{"step-guard": {"largest_move": largest}}], "console": False}
        with steersman.attach(optimizer, config, folder=tmp_path / str(largest), model=model, total_steps=200) as loop:
            for step in range(200):
                loss = torch.nn.functional.mse_loss(model(features), targets)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                loop.log(step + 1, loss=loss.item())
        ends.append(model.weight.detach().squeeze())
    assert ends[0].tolist() == pytest.approx([0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0], abs=1.0)
    assert ends[1].tolist() == pytest.approx(ends[0].tolist(), abs=1.0)


class Run:
    """A loop over two weights of norm 5."""

    def __init__(self, folder, largest):
        self.model = torch.nn.Linear(2, 1, bias=False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        config = {"mode": "act", "use": [{"step-guard": {"largest_move": largest}}], "console": False}
        self.loop = steersman.attach(self.optimizer, config, folder=folder, model=self.model, total_steps=9)

    def step(self, gradient):
        """Return what a step moved the second weight by, and how many steps were clipped."""
        self.model.weight.data = torch.tensor([[3.0, 4.0]])
        self.model.weight.grad = torch.tensor([[0.0, gradient]])
        self.optimizer.step()
        self.loop.log(self.loop.step, loss=1.0)
        clipped = self.loop.session.supervisor.history["steps_clipped"].latest
        return 4.0 - self.model.weight[0, 1].item(), clipped
