"""Multiplies the learning rates of an optimizer just before it steps, and puts them back just after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from attrs import frozen

Group = dict[str, Any]


@frozen(eq=False)
class _Scaled:
    """A rate while its factor is in. In a tensor it was changed in place: `value` is the user's, `mark` its version."""

    group: Group
    rate: Any
    mark: Any
    value: torch.Tensor | None = None

    @property
    def is_in(self) -> bool:
        """Whether nobody has set the rate since."""
        return self.group["lr"] is self.mark if self.value is None else bool(self.rate._version == self.mark)

    def take_out(self) -> None:
        if self.value is None:
            self.group["lr"] = self.rate
        else:
            self.rate.copy_(self.value)


def group_names(groups: list[Group]) -> list[str]:
    """Return a name for each parameter group: its `name` where that is a text no other group has, else its index."""
    given = [group.get("name") for group in groups]
    return [
        name if isinstance(name, str) and name and not name.isdecimal() and given.count(name) == 1 else str(i)
        for i, name in enumerate(given)
    ]


class StepScaling:
    """One pair of step hooks: `factor` multiplies every group, `factors[name]` the group of that name.

    A group is known by its dict, which ZeRO keeps while it steps one group at a time; by its list of parameters, which
    `load_state_dict` hands to the dict that takes its place; else by its name. A group that none of these finds again
    is lost: its own factor is left out, and `on_lost` hears its name.
    """

    def __init__(self, optimizer: Any) -> None:
        self.factor = 1.0
        groups: list[Group] = optimizer.param_groups
        self._known = dict(zip(group_names(groups), groups, strict=True))
        self.factors = dict.fromkeys(self._known, 1.0)
        self.users: set[object] = set()
        self.on_lost: Callable[[str], object] = lambda name: None
        self._optimizer = optimizer
        self._scaled: list[_Scaled] = []
        after = optimizer.register_step_post_hook(self._take_out)
        hooks = optimizer._optimizer_step_post_hooks
        for earlier in [key for key in hooks if key != after.id]:  # a hook that steps a scheduler needs the user's rate
            hooks[earlier] = hooks.pop(earlier)
        self._handles = [optimizer.register_step_pre_hook(self._put_in), after]

    def first(self) -> str:
        """Return the name of the first group that has a rate; empty where it was added later, or none has."""
        return next((name for name, group in self._named() if group.get("lr") is not None), "")

    def rate(self, name: str) -> float | None:
        """Return what the group of this name really uses at the next step; None where it has no rate or is lost."""
        rate = next((self._untouched(group) for found, group in self._named() if found == name), None)
        return None if rate is None else float(rate) * self.multiplier(name)

    def peak(self, name: str) -> float | None:
        """Return the highest rate the schedule of the group of this name gives it, as far as the group tells.

        That is `max_lr` of cyclic schedules, else the rate that warm-up leads to and decay starts from, or a higher one
        that is in force now.
        """
        nothing: Group = {}
        group = next((group for found, group in self._named() if found == name), nothing)
        known = [rate for key in ("max_lr", "initial_lr", "lr") if (rate := group.get(key)) is not None]
        return max((float(rate) for rate in known), default=None)

    def multiplier(self, name: str) -> float:
        """Return what the schedule of the group of this name is multiplied by."""
        return self.factor * self.factors.get(name, 1.0)

    def leave(self, user: object) -> None:
        """Hear that a user is done; the hooks come off with the last."""
        self.users.discard(user)
        self._clear_up()
        if not self.users:
            for handle in self._handles:
                handle.remove()
            self._handles = []

    def _named(self) -> list[tuple[str, Group]]:
        """Return the groups, each with its name; that of a group added later is empty."""
        groups: list[Group] = self._optimizer.param_groups
        by_dict = {id(group): name for name, group in self._known.items()}
        names = [by_dict.get(id(group), "") for group in groups]
        if "" in names:
            names = self._search(names, groups)
        return list(zip(names, groups, strict=True))

    def _search(self, names: list[str], groups: list[Group]) -> list[str]:
        """Return `names` with those of groups whose dict is new; what is not found among them is lost."""
        by_list = {id(group["params"]): name for name, group in self._known.items()}
        names = [name or by_list.get(id(group["params"]), "") for name, group in zip(names, groups, strict=True)]
        free = self._known.keys() - set(names)
        own = [name if name in free else "" for name in group_names(groups)]
        names = [name or (o if o == g.get("name") else "") for name, o, g in zip(names, own, groups, strict=True)]
        self._known |= {name: group for name, group in zip(names, groups, strict=True) if name}
        for lost in self._known.keys() - set(names) if "" in names else ():
            del self._known[lost], self.factors[lost]
            self.on_lost(lost)
        return names

    def _untouched(self, group: Group) -> Any:
        """Return the user's own rate, also where a step that raised left the factor in."""
        rate = group.get("lr")
        for scaled in self._scaled:
            if scaled.is_in and (scaled.group is group or scaled.rate is rate):
                return scaled.rate if scaled.value is None else scaled.value
        return rate

    def _put_in(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        self._clear_up()
        if self.factor == 1.0 and all(factor == 1.0 for factor in self.factors.values()):
            return
        groups = [(g, g["lr"], self.multiplier(name)) for name, g in self._named() if g.get("lr") is not None]
        wanted: dict[int, set[float]] = {}
        for _, rate, factor in groups:
            wanted.setdefault(id(rate), set()).add(factor)
        for group, rate, factor in groups:
            if isinstance(rate, torch.Tensor) and len(wanted[id(rate)]) == 1:
                if wanted[id(rate)] != {1.0}:
                    value = rate.clone()
                    rate.mul_(factor)  # in place: a compiled step reads the tensor it knows
                    self._scaled.append(_Scaled(group, rate, rate._version, value))
                    wanted[id(rate)] = {1.0}  # once, where groups share it
            elif factor != 1.0:
                group["lr"] = rate * factor
                self._scaled.append(_Scaled(group, rate, group["lr"]))

    def _take_out(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        for scaled in self._scaled:
            scaled.take_out()
        self._scaled.clear()

    def _clear_up(self) -> None:
        """Take out what a step that raised has left in, but where a scheduler has set another rate since."""
        for scaled in self._scaled:
            if scaled.is_in:
                scaled.take_out()
        self._scaled.clear()
