"""A factor on the learning rate that schedulers, optimizer.pt and scheduler.pt never see.

It is multiplied in just before `optimizer.step` computes and taken out just after, so the rate used is exactly factor x
the untouched schedule at every step, whatever the scheduler, and detaching leaves nothing behind.
"""

from __future__ import annotations

from typing import Any

import torch


def innermost(optimizer: Any) -> Any:
    """Return the optimizer that really steps, inside whatever wraps it."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def why_unsupported(optimizer: Any) -> str:
    """Return why the factor cannot act on this optimizer, or nothing where it can."""
    inner = innermost(optimizer)
    name = type(inner).__name__
    if not isinstance(inner, torch.optim.Optimizer):
        return f"the optimizer {name} is no torch optimizer, so it has no step hooks"
    if "Lomo" in name or name == "LayerWiseDummyOptimizer":
        return f"the optimizer {name} steps inside the backward pass and ignores step hooks"
    if all(group.get("lr") is None for group in inner.param_groups):
        return f"the optimizer {name} computes its own learning rate"
    return ""


class LearningRate:
    """The learning rate in force: that of the first parameter group times `factor`, which multiplies all groups."""

    def __init__(self, optimizer: Any) -> None:
        self.factor = 1.0
        self._optimizer = innermost(optimizer)
        self._held: list[tuple[dict[str, Any], Any]] = []
        self._handles = [
            self._optimizer.register_step_pre_hook(self._put_in),
            self._optimizer.register_step_post_hook(self._take_out),
        ]

    def read(self) -> float | None:
        rates = [group["lr"] for group in self._optimizer.param_groups if group.get("lr") is not None]
        return float(rates[0]) * self.factor if rates else None

    def write(self, value: float, ratio: float) -> None:
        self.factor *= ratio

    def save(self) -> float:
        return self.factor

    def restore(self, saved: float) -> None:
        self.factor = saved

    def release(self) -> None:
        """Take the hooks off; the user's own schedule is in force again."""
        self._restore()
        self.factor = 1.0
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _put_in(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._restore()  # a step that raised never took its factor out
        if self.factor == 1.0:
            return
        shared: set[int] = set()
        for group in optimizer.param_groups:
            rate = group.get("lr")
            if isinstance(rate, torch.Tensor):
                if id(rate) not in shared:  # torch gives all groups one tensor
                    shared.add(id(rate))
                    self._held.append((group, rate.clone()))
                    rate.mul_(self.factor)
            elif rate is not None:
                self._held.append((group, rate))
                group["lr"] = rate * self.factor

    def _take_out(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._restore()

    def _restore(self) -> None:
        for group, rate in self._held:
            if isinstance(rate, torch.Tensor):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate
        self._held.clear()
