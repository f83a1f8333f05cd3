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
    """A second group of 10 times the rate leaves a tenth; four weights of 0 are taken as 0.02 each, a norm of 0.04."""
    one, other, zeros = weight(3.0, 4.0), weight(0.0), weight(0.0, 0.0, 0.0, 0.0)
    two = torch.optim.SGD([{"params": [one], "lr": 0.1}, {"params": [other], "lr": 1.0}])
    assert norm_that_moves(0.1, two, [one, other], "cpu").item() == pytest.approx(0.5)
    assert norm_that_moves(0.5, torch.optim.SGD([zeros], lr=0.1), [zeros], "cpu").item() == pytest.approx(0.2)
    other.grad = None  # a group without a gradient moves nothing
    assert norm_that_moves(0.1, two, [one], "cpu").item() == pytest.approx(5.0)


def test_an_optimizer_that_does_not_move_by_the_size_of_gradients_is_left_alone():
    """Adam divides by it: to scale its gradients down bounds nothing."""
    weights = weight(3.0, 4.0)
    assert norm_that_moves(0.1, torch.optim.Adam([weights], lr=1.0), [weights], "cpu") is None


@pytest.mark.parametrize(("largest", "moved"), [(0.1, 0.5), (None, 40.0)])
def test_a_step_moves_the_weights_by_a_tenth_once_the_run_has_gone_back(tmp_path, largest, moved):
    """A gradient of 400 at a rate of 0.1 moves weights of norm 5 by 40; after a rollback by 0.5, also when resumed."""
    run = Run(tmp_path / "one", largest)
    assert run.step() == pytest.approx((40.0, 0.0))
    run.loop.session.journal.write("rollback", 1, to_step=0)
    assert run.step() == pytest.approx((moved, float(largest is not None)))

    resumed = Run(tmp_path / "two", largest, run.loop.state_dict())
    assert resumed.step() == pytest.approx((moved, float(largest is not None)))


class Run:
    """A loop over two weights of norm 5."""

    def __init__(self, folder, largest, parts=None):
        self.model = torch.nn.Linear(2, 1, bias=False)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        config = {"mode": "act", "use": [{"step-guard": {"largest_move": largest}}], "console": False}
        self.loop = steersman.attach(self.optimizer, config, folder=folder, model=self.model, total_steps=9)
        if parts is not None:
            self.loop.load_state_dict(parts)

    def step(self):
        """Return what a step moved the second weight by, and how many steps were clipped."""
        self.model.weight.data = torch.tensor([[3.0, 4.0]])
        self.model.weight.grad = torch.tensor([[0.0, 400.0]])
        self.optimizer.step()
        self.loop.log(self.loop.step, loss=1.0)
        clipped = self.loop.session.supervisor.history["steps_clipped"].latest
        return 4.0 - self.model.weight[0, 1].item(), clipped
