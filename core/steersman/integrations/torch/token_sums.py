"""Counts of tokens that are added up where they are: on the host, or on the device of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from attrs import define, field

from steersman.integrations.torch.token_batch import Told
from steersman.records import Usage

COUNTS = ("tokens", "input_tokens", "loss_tokens", "samples", "unknown")
_ON_DEVICE = ("tokens", "loss_tokens", "samples")


@define
class TokenSums:
    """What was counted, by name: `known` on the host, and for each device one vector of the names it sums."""

    known: dict[str, int] = field(factory=dict[str, int])
    vectors: dict[torch.device, torch.Tensor] = field(factory=dict[torch.device, torch.Tensor])
    _elements: dict[torch.device, tuple[torch.Tensor, ...]] = field(
        factory=dict[torch.device, tuple[torch.Tensor, ...]]
    )

    def add(self, told: Told) -> None:
        """Add what a batch tells; nothing is read from its device."""
        for name, tensor in told.sums:
            elements = self._elements.get(tensor.device)
            if elements is None:
                elements = self._begin(tensor.device)
            elements[_ON_DEVICE.index(name)].add_(tensor)
        self.add_known(told.known)

    def add_known(self, known: Mapping[str, int]) -> None:
        """Add numbers by name."""
        for name, number in known.items():
            self.known[name] = self.known.get(name, 0) + number

    def as_of_now(self) -> TokenSums:
        """Return a copy to read later, which nothing reaches that is added meanwhile; it stays on its devices."""
        return TokenSums(dict(self.known), {device: vector.clone() for device, vector in self.vectors.items()})

    def usage(self, seconds: float) -> Usage:
        """Return all as what this process took: one read for each device that had batches, as a rule one."""
        total = TokenSums(dict(self.known))
        for vector in self.vectors.values():
            values: Any = vector
            total.add_known(dict(zip(_ON_DEVICE, values.tolist(), strict=True)))
        tokens, input_tokens, loss_tokens, samples, unknown = (total.known.get(name, 0) for name in COUNTS)
        return Usage(
            "backpropagation", tokens, seconds, samples,
            input_tokens=input_tokens, loss_tokens=loss_tokens, unknown=unknown,
        )  # fmt: skip

    def _begin(self, device: torch.device) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode(False):
            vector = torch.zeros(len(_ON_DEVICE), dtype=torch.int64, device=device)
            elements = tuple(vector.unbind())
        self.vectors[device], self._elements[device] = vector, elements
        return elements
