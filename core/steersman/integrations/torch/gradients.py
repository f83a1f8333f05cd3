"""The gradients of an optimizer's parameters: their norms, and how they are scaled or zeroed without a wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from steersman.integrations.torch.nonfinite import moved

_foreach: Any = torch  # what works on many tensors at once is private, and used by torch's own optimizers
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def values_of(gradient: Any) -> Any:
    """Return the values of a gradient, to be changed in place: those that are stored, where it is sparse."""
    values = gradient.detach()
    values = values._values() if values.is_sparse else values
    return torch.view_as_real(values) if values.is_complex() else values


def norms(tensors: Iterable[Any], device: Any, order: float = 2.0) -> Any:
    """Return the norm of each tensor as float32 on the device, grouped by where they lie and their precision."""
    found: list[Any] = []
    for group in _groups(tensors).values():
        wide = torch.promote_types(group[0].dtype, torch.float32)  # finite float16 values may have a norm beyond it
        each: Any = _foreach._foreach_norm(group, order, dtype=wide)
        found.append(moved(torch.stack(each), device).float())
    return torch.cat(found)


def scale(tensors: Iterable[Any], factor: Any) -> None:
    """Multiply all by a number on the device; by 1 they stay the same bit for bit."""
    for (device, dtype), group in _groups(tensors).items():
        _foreach._foreach_mul_(group, factor.to(device, dtype, non_blocking=True))


def keep_or_zero(tensors: Iterable[Any], keep: Any) -> None:
    """Multiply the bits of all by 0 or 1: NaN becomes 0 too, where a number times 0 would leave it."""
    for (device, dtype), group in _groups(tensors).items():
        bits: Any = _BITS[dtype.itemsize]
        _foreach._foreach_mul_([tensor.view(bits) for tensor in group], keep.to(device, bits, non_blocking=True))


def _groups(tensors: Iterable[Any]) -> dict[tuple[Any, Any], list[Any]]:
    """Return the tensors by device and precision, without the empty ones."""
    groups: dict[tuple[Any, Any], list[Any]] = {}
    for tensor in tensors:
        if tensor.numel():
            groups.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return groups
