"""How large a gradient may be for a step to move the weights by no more than a share of their own norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from steersman.integrations.torch.gradients import norms, values_of

_linalg: Any = torch.linalg
_SMALLEST = 0.02
"""The root mean square that weights are taken to have at least: a layer may well begin at zero."""
_HIGHEST_MOMENTUM = 0.999


def norm_that_moves(share: float, optimizer: Any, parameters: Sequence[Any], device: Any) -> Any:
    """Return the norm of a gradient that moves the parameters by that share of their norm, as a number on the device.

    The parameters are those that have a gradient; groups without any count for nothing. None where the optimizer does
    not move by the size of the gradients: where it is not torch's SGD. With a momentum m and a dampening d what a
    gradient moves in the end is (1 - d) / (1 - m) as much. Nothing waits for the device.
    """
    if type(optimizer) is not torch.optim.SGD:
        return None
    weights = [values_of(p) for p in parameters]
    least = _SMALLEST * math.sqrt(sum(w.numel() for w in weights))
    norm: Any = _linalg.vector_norm(norms(weights, device))
    most = share * norm.clamp(min=least)
    groups = [g for g in optimizer.param_groups if any(p.grad is not None for p in g["params"])]
    each: list[Any] = [most / (g["lr"] * _gain(g["momentum"], g["dampening"])) for g in groups]
    return torch.stack(each).min()


def _gain(momentum: float, dampening: float) -> float:
    """Return how many times itself a gradient moves in the end."""
    return (1 - dampening) / (1 - min(momentum, _HIGHEST_MOMENTUM)) if momentum else 1.0
