"""Factors on the learning rate that schedulers, optimizer.pt and scheduler.pt never see.

They are multiplied in just before `optimizer.step` computes and taken out just after, so the rate used is exactly
factor x the untouched schedule at every step, whatever the scheduler, and detaching leaves nothing behind.
"""

from __future__ import annotations

from typing import Any

import torch

from steersman.hyperparameters import SAFER, Entry, whole
from steersman.integrations.torch.step_scaling import StepScaling, group_names

NAME = "learning_rate"
_LOST = "the optimizer's parameter groups were replaced, and which of them this one was cannot be told"


def innermost(optimizer: Any) -> Any:
    """Return the optimizer that really steps, inside whatever wraps it."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def why_without_hooks(optimizer: Any) -> str:
    """Return why a hook of this optimizer is not called around its steps, or nothing where it is."""
    inner = innermost(optimizer)
    name = type(inner).__name__
    if not isinstance(inner, torch.optim.Optimizer):
        return f"the optimizer {name} is no torch optimizer, so it has no step hooks"
    if "Lomo" in name or name == "LayerWiseDummyOptimizer":
        return f"the optimizer {name} steps inside the backward pass and ignores step hooks"
    return ""


def why_unsupported(optimizer: Any) -> str:
    """Return why the factor cannot act on this optimizer, or nothing where it can."""
    if reason := why_without_hooks(optimizer):
        return reason
    inner = innermost(optimizer)
    name = type(inner).__name__
    if all(group.get("lr") is None for group in inner.param_groups):
        return f"the optimizer {name} computes its own learning rate"
    return ""


def learning_rates(optimizer: Any) -> dict[str, Entry]:
    """Return `learning_rate`, and `learning_rate[NAME]` for each parameter group where several have a rate.

    NAME is the group's `name` where no other has it, else its index.
    """
    safer, reason, inner = SAFER[NAME], why_unsupported(optimizer), innermost(optimizer)
    groups = inner.param_groups if isinstance(inner, torch.optim.Optimizer) else []
    names = [name for name, group in zip(group_names(groups), groups, strict=True) if group.get("lr") is not None]
    members = {name: f"{NAME}[{name}]" for name in names} if len(names) > 1 else {}
    if reason:
        return {name: Entry(name, None, "unsupported", reason, safer) for name in (NAME, *members.values())}
    whole = LearningRate(optimizer)
    entries = {NAME: Entry(NAME, whole, "live", safer=safer)}
    for name, full in members.items():
        entries[full] = Entry(full, GroupLearningRate(whole.scaling, name), "live", safer=safer)

    def lose(name: str) -> None:
        if name in members:
            entries[members[name]].status, entries[members[name]].reason = "inert", _LOST

    whole.scaling.on_lost = lose
    return entries


class LearningRate:
    """The learning rate in force: that of the first parameter group that has one. Its factor multiplies all groups."""

    def __init__(self, optimizer: Any) -> None:
        self.scaling = StepScaling(innermost(optimizer))
        self.scaling.users.add(self)

    @property
    def factor(self) -> float:
        """What every group is multiplied by."""
        return self.scaling.factor

    @property
    def in_force(self) -> float:
        """What the schedule of the first group is multiplied by: `factor` times that group's own."""
        return self.scaling.multiplier(self.scaling.first())

    @property
    def peak(self) -> float | None:
        """The highest rate of the user's own schedule for the first group, as far as the group tells."""
        return self.scaling.peak(self.scaling.first())

    def read(self) -> float | None:
        return self.scaling.rate(self.scaling.first())

    def write(self, value: float, ratio: float) -> None:
        self.restore(self.factor * ratio)

    def save(self) -> float:
        return self.factor

    def restore(self, saved: float) -> None:
        self.scaling.factor = whole(saved)

    def release(self) -> None:
        """Take the factor out; the hooks come off with the last handle."""
        self.restore(1.0)
        self.scaling.leave(self)


class GroupLearningRate:
    """What one parameter group really uses. Its factor multiplies that group only, on top of the one of all groups."""

    def __init__(self, scaling: StepScaling, name: str) -> None:
        self._scaling, self._name = scaling, name
        scaling.users.add(self)

    @property
    def factor(self) -> float:
        """What this group is multiplied by beside what all are; 1 where the group is lost."""
        return self._scaling.factors.get(self._name, 1.0)

    @property
    def peak(self) -> float | None:
        """The highest rate of the user's own schedule for this group, as far as the group tells."""
        return self._scaling.peak(self._name)

    def read(self) -> float | None:
        return self._scaling.rate(self._name)

    def write(self, value: float, ratio: float) -> None:
        self.restore(self.factor * ratio)

    def save(self) -> float:
        return self.factor

    def restore(self, saved: float) -> None:
        if self._name in self._scaling.factors:
            self._scaling.factors[self._name] = whole(saved)

    def release(self) -> None:
        """Take the factor out; the hooks come off with the last handle."""
        self.restore(1.0)
        self._scaling.leave(self)
