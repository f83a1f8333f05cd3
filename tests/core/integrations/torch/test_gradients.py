"""Norms of gradients, and how gradients are scaled and zeroed on their device."""

from __future__ import annotations

import math

import pytest
import torch

from steersman.integrations.torch.gradient_health import GradientHealth, told
from steersman.integrations.torch.gradients import keep_or_zero, norms, scale, values_of


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_nan_is_zeroed_and_what_is_kept_is_the_same(dtype):
    """Kept, every bit stays; dropped, NaN, infinity and all else are 0; scaled by 1, every bit stays too."""
    values = torch.tensor([[1.5, -0.0, math.nan], [math.inf, -2.0, 6e-8]], dtype=dtype).t()
    kept, dropped = values.clone(), values.clone()
    keep_or_zero([kept], torch.tensor(True))
    scale([kept], torch.tensor(1.0))
    keep_or_zero([dropped, torch.empty(0, dtype=dtype)], torch.tensor(False))

    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    assert torch.equal(kept.view(bits), values.view(bits))
    assert torch.equal(dropped, torch.zeros_like(values))


def test_norms_of_all_kinds_of_gradients():
    """3 and 4 have norm 5 in any precision, stored sparse or complex; 6e4 twice is finite though float16 is not."""
    pair = torch.tensor([3.0, 4.0])
    sparse = torch.sparse_coo_tensor(torch.tensor([[0, 2]]), pair, (4,), check_invariants=True)
    every = [pair, pair.double(), sparse, torch.complex(pair, torch.zeros(2)), torch.full((2,), 6e4).half()]
    found = norms([values_of(gradient) for gradient in every], "cpu")

    assert sorted(found.tolist()) == pytest.approx([5.0, 5.0, 5.0, 5.0, 6e4 * math.sqrt(2)], rel=1e-3)


def parameter(*shape: int, gradient: float | None = None) -> torch.nn.Parameter:
    made = torch.nn.Parameter(torch.ones(*shape))
    made.grad = None if gradient is None else torch.full(shape, gradient)
    return made


def test_the_health_of_gradients():
    """Of eight matrices two are all zero: a share of 0.25. The first two have rms 1 and 3, the last two 4: 2 / 4.

    A bias, and a matrix without a gradient, are left out; a sample with an infinity counts nothing.
    """
    values = [1.0, 3.0, 0.0, 0.0, 9.0, 9.0, -4.0, 4.0]
    matrices = [parameter(2, 1 + i, gradient=value) for i, value in enumerate(values)]
    matrices[5].data, matrices[5].grad = matrices[5].data.double(), matrices[5].grad.double()
    health = GradientHealth([parameter(3, gradient=0.0), *matrices, parameter(2, 2)], "cpu")
    first = health.sample()
    matrices[0].grad[0, 0] = math.inf

    assert told(first.tolist()) == pytest.approx({"gradient_zero_share": 0.25, "gradient_depth_ratio": 0.5})
    assert health.sample().tolist() == [0.0] * 4
    assert told([0.0] * 4) == {}


def test_a_ratio_needs_a_last_gradient():
    """Where the last gradient is 0, or there is one matrix only, there is a share and no ratio."""
    dead = GradientHealth([parameter(2, 2, gradient=1.0), parameter(2, 2, gradient=0.0)], "cpu")
    alone = GradientHealth([parameter(2, 2, gradient=1.0)], "cpu")

    assert told(dead.sample().tolist()) == {"gradient_zero_share": 0.5}
    assert told(alone.sample().tolist()) == {"gradient_zero_share": 0.0}
    assert GradientHealth([parameter(2)], "cpu").sample().tolist() == [0.0] * 4
