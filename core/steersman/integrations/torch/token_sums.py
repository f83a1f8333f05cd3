"""Counts of tokens that are added up where they are: on the host, or on the device of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import define, field

from steersman.integrations.torch.token_batch import Told
from steersman.records import Usage

COUNTS = ("tokens", "input_tokens", "loss_tokens", "samples", "unknown")
_MOST_PARTS = 128
"""How many numbers may wait on devices before they are added up there."""


@define
class TokenSums:
    """What was counted, by name: `known` on the host, and `parts` that are single numbers still on a device."""

    known: dict[str, int] = field(factory=dict[str, int])
    parts: list[tuple[str, torch.Tensor]] = field(factory=list[tuple[str, torch.Tensor]])

    def add(self, told: Told) -> None:
        """Add what a batch tells; nothing is read from its device."""
        self.add_known(told.known)
        self.parts.extend(told.sums)
        if len(self.parts) > _MOST_PARTS:
            self._add_up()

    def add_known(self, known: Mapping[str, int]) -> None:
        """Add numbers by name."""
        for name, number in known.items():
            self.known[name] = self.known.get(name, 0) + number

    def as_of_now(self) -> TokenSums:
        """Return a copy to read later, which nothing reaches that is added meanwhile."""
        return TokenSums(dict(self.known), list(self.parts))

    def usage(self, seconds: float) -> Usage:
        """Return all as what this process took: one read for each device that had batches, as a rule one."""
        total = self.as_of_now()
        for device in {tensor.device for _, tensor in self.parts}:
            here = [(name, tensor) for name, tensor in self.parts if tensor.device == device]
            stacked: Any = torch.stack([tensor for _, tensor in here])
            for (name, _), number in zip(here, stacked.tolist(), strict=True):
                total.add_known({name: number})
        tokens, input_tokens, loss_tokens, samples, unknown = (total.known.get(name, 0) for name in COUNTS)
        return Usage(
            "backpropagation", tokens, seconds, samples,
            input_tokens=input_tokens, loss_tokens=loss_tokens, unknown=unknown,
        )  # fmt: skip

    def _add_up(self) -> None:
        alike: dict[tuple[str, torch.device], list[torch.Tensor]] = {}
        for name, tensor in self.parts:
            alike.setdefault((name, tensor.device), []).append(tensor)
        self.parts = [(name, torch.stack(tensors).sum()) for (name, _), tensors in alike.items()]
