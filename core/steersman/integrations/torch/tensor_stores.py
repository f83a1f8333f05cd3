"""Where copies of tensors lie: host memory, or a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
from attrs import define, field

Key = tuple[str | int, str]


@define(eq=False)
class InMemory:
    """Copies in host memory, pinned where a GPU fills it, and used again by the next write."""

    _copies: dict[Key, torch.Tensor] = field(factory=dict[Key, torch.Tensor], init=False)

    def write(self, tensors: Mapping[Key, torch.Tensor]) -> None:
        """Copy the tensors, and wait once for the GPUs that hold some of them."""
        before, self._copies = self._copies, {}
        for key, tensor in tensors.items():
            copy, source = before.pop(key, None), tensor.detach()
            if copy is None or not alike(copy, source):
                copy = torch.empty_like(source, device="cpu", pin_memory=source.is_cuda)
            self._copies[key] = copy.copy_(source, non_blocking=source.is_cuda)
        for device in {tensor.device for tensor in tensors.values() if tensor.is_cuda}:
            torch.cuda.current_stream(device).synchronize()

    def read(self) -> Mapping[Key, torch.Tensor]:
        return self._copies

    def release(self) -> None:
        self._copies = {}


@define(eq=False)
class InFile:
    """Copies in one file a rank, with one tensor at a time in memory; a write that fails leaves the file before it."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file of this rank."""
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        return self.folder / f"healthy-rank-{rank}.pt"

    def write(self, tensors: Mapping[Key, torch.Tensor]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        try:
            torch.save({key: tensor.detach() for key, tensor in tensors.items()}, new)
            os.replace(new, self.path)
        finally:
            new.unlink(missing_ok=True)

    def read(self) -> Mapping[Key, torch.Tensor]:
        """Map the file: a tensor is read when it is copied."""
        saved: dict[Key, torch.Tensor] = torch.load(self.path, map_location="cpu", mmap=True, weights_only=True)
        return saved

    def release(self) -> None:
        self.path.unlink(missing_ok=True)


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether one tensor's memory can hold the other just as it is laid out."""
    return (one.shape, one.stride(), one.dtype) == (other.shape, other.stride(), other.dtype)
