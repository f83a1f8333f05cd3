"""What an example costs and whether it is right: a value for each example of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def cross_entropy(outputs: Any, targets: Any) -> Any:
    """Return the cross-entropy in nats, the mean over the places of a sequence."""
    losses = functional.cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="none")
    return losses.view(targets.shape[0], -1).mean(1)


def accuracy(outputs: Any, targets: Any) -> Any:
    """Return the share of places that are right."""
    return (outputs.argmax(-1) == targets).float().view(targets.shape[0], -1).mean(1)


def squared(outputs: Any, targets: Any) -> Any:
    """Return the squared error."""
    return (outputs.squeeze(-1) - targets).square()


def absolute(outputs: Any, targets: Any) -> Any:
    """Return the absolute error."""
    return (outputs.squeeze(-1) - targets).abs()


def split(inputs: Any, targets: Any, *sizes: int) -> list[tuple[Any, Any]]:
    """Return consecutive parts of numpy arrays as tensors."""
    kind = torch.long if targets.dtype.kind == "i" else torch.float32
    found, begin = list[tuple[Any, Any]](), 0
    for size in sizes:
        part = slice(begin, begin + size)
        x = torch.as_tensor(inputs[part])
        found.append((x if x.dtype == torch.long else x.float(), torch.as_tensor(targets[part]).to(kind)))
        begin += size
    return found
