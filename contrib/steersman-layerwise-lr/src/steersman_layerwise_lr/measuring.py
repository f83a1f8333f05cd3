"""The norms of each parameter group of a torch optimizer, measured between a step and the next `zero_grad`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch

from steersman_layerwise_lr.strategy import GRADIENT, UPDATE, WEIGHT

Tensors = dict[str, torch.Tensor]
_l2 = cast("Callable[..., torch.Tensor]", torch.linalg.vector_norm)  # pyright: ignore[reportUnknownMemberType]


def norms(optimizer: Any) -> dict[str, float]:
    """Return `weight_norm/NAME` and `grad_norm/NAME` of each parameter group, ready to be logged.

    For optimizers that keep Adam's two moments also `update_norm/NAME`, that of the step they make of the gradient,
    before learning rate and decoupled weight decay. Call it after `optimizer.step()` and before `zero_grad()`, at
    logging steps only: it waits for the device once. NAME is as Steersman names the group: its `name` where no other
    has it, else its index. Parameters without a gradient count for nothing; sharded ones only with their own shard.
    """
    return as_numbers(measure(optimizer))


def measure(optimizer: Any) -> Tensors:
    """Return the norms as tensors where they were computed, waiting for no device."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    groups: list[dict[str, Any]] = optimizer.param_groups
    found: Tensors = {}
    with torch.no_grad():
        for name, group in zip(group_names(groups), groups, strict=True):
            learning = [p for p in group["params"] if p.grad is not None and p.numel()]
            if not learning or group.get("lr") is None:
                continue
            found[f"{WEIGHT}{name}"] = _norm(learning)
            found[f"{GRADIENT}{name}"] = _norm(p.grad for p in learning)
            if all(_has_moments(optimizer.state.get(p, {}), p) for p in learning):
                found[f"{UPDATE}{name}"] = _norm(_update(optimizer.state[p], group) for p in learning)
    return found


def as_numbers(found: Tensors) -> dict[str, float]:
    """Return the norms as numbers, waiting for each device once."""
    if not found:
        return {}
    device = next(iter(found.values())).device
    values = torch.stack([value.to(device) for value in found.values()])
    return dict(zip(found, cast("list[float]", values.tolist()), strict=True))  # pyright: ignore[reportUnknownMemberType]


def group_names(groups: list[dict[str, Any]]) -> list[str]:
    """Return the NAME of `learning_rate[NAME]` for each group: its `name` where no other has it, else its index."""
    given = [group.get("name") for group in groups]
    return [
        name if isinstance(name, str) and name and not name.isdecimal() and given.count(name) == 1 else str(i)
        for i, name in enumerate(given)
    ]


def _norm(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the L2 norm of all of them together, summed in float32 whatever they are kept in."""
    dense = (t.coalesce().values() if t.is_sparse else t for t in tensors)
    each = [_l2(t, dtype=torch.float32) for t in dense]
    return _l2(torch.stack([norm.to(each[0].device) for norm in each]))


def _has_moments(state: dict[str, Any], parameter: torch.Tensor) -> bool:
    first, second = state.get("exp_avg"), state.get("exp_avg_sq")
    return all(isinstance(t, torch.Tensor) and t.shape == parameter.shape for t in (first, second)) and "step" in state


def _update(state: dict[str, Any], group: dict[str, Any]) -> torch.Tensor:
    """Return the step of Kingma and Ba (2014), algorithm 1: m / (sqrt(v) + eps), both corrected for their bias."""
    (beta1, beta2), step = group["betas"], torch.as_tensor(state["step"], dtype=torch.float32)
    first: torch.Tensor = state["exp_avg"].float() / (1 - beta1**step)
    second: torch.Tensor = state["exp_avg_sq"].float() / (1 - beta2**step)
    return first / (second.sqrt() + group.get("eps", 1e-8))
