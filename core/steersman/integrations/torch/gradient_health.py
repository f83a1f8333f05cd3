"""What the gradients of a model look like from its first tensor to its last, in a sample of the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from steersman.integrations.torch.gradients import norms, values_of

EVERY = 16
"""At each so many-th step the gradients are sampled."""


class GradientHealth:
    """Sums over samples, on the device, of the trainable tensors of two and more dimensions, in model order."""

    def __init__(self, parameters: Iterable[Any], device: Any) -> None:
        self._device = device
        self._matrices = [p for p in parameters if p.requires_grad and p.dim() > 1 and p.numel()]
        sizes = [math.sqrt(p.numel()) for p in self._matrices]
        self._roots: Any = torch.tensor(sizes, dtype=torch.float32, device=device)
        self.restore(())

    def sample(self) -> Any:
        """Return what the gradients of now add to the sums; a gradient that is not there, or sparse, is left out."""
        places = [i for i, p in enumerate(self._matrices) if p.grad is not None and not p.grad.is_sparse]
        if not places:
            return torch.zeros_like(self.sums)
        found = [values_of(self._matrices[i].grad) for i in places]
        largest = self._in_order(found, math.inf)
        is_finite = largest.max() < math.inf
        zero = (largest == 0).float().mean()
        ratio, has_ratio = zero, torch.zeros_like(is_finite)
        if len(found) > 1:
            rms = self._in_order(found, 2.0) / torch.stack([self._roots[i] for i in places])
            quarter = max(len(found) // 4, 1)
            first, last = _median(rms[:quarter]), _median(rms[-quarter:])
            ratio, has_ratio = first / last, is_finite & (last > 0)
        one = torch.ones_like(zero)
        counts = torch.stack((is_finite, is_finite, has_ratio, has_ratio))
        return torch.where(counts, torch.stack((zero, one, ratio, one)), 0.0)

    def restore(self, saved: Sequence[float]) -> None:
        """Take back what the sums were, or begin."""
        self.sums: Any = torch.tensor(saved or [0.0] * 4, dtype=torch.float32, device=self._device)

    def _in_order(self, tensors: list[Any], order: float) -> Any:
        """Return the norms in the order of the tensors, which are grouped by precision to be looked at together."""
        groups: dict[tuple[Any, Any], list[int]] = {}
        for i, tensor in enumerate(tensors):
            groups.setdefault((tensor.device, tensor.dtype), []).append(i)
        places = [i for group in groups.values() for i in group]
        found = norms(tensors, self._device, order)
        if places == sorted(places):
            return found
        back = sorted(range(len(places)), key=places.__getitem__)
        return torch.stack([found[i] for i in back])


def _median(values: Any) -> Any:
    ordered, n = values.sort().values, values.numel()
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def told(sums: Sequence[float]) -> Mapping[str, float]:
    """Return the metrics that the sums come to, where anything was sampled."""
    zero, samples, ratio, ratios = sums
    metrics = {"gradient_zero_share": zero / samples} if samples else {}
    return metrics | ({"gradient_depth_ratio": ratio / ratios} if ratios else {})
