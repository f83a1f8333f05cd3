"""Rank 0 decides, all ranks receive, over torch.distributed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch.distributed as dist

from steersman.ranks import OneProcess, Ranks

T = TypeVar("T")


class TorchRanks:
    """The processes of an initialised process group."""

    def __init__(self) -> None:
        self.is_main = dist.get_rank() == 0
        self.size = dist.get_world_size()

    def agree(self, decide: Callable[[], T], nothing: T) -> T:
        raised: Exception | None = None
        box: list[Any] = [nothing]
        if self.is_main:
            try:
                box = [decide()]
            except Exception as error:
                raised = error
        dist.broadcast_object_list(box, src=0)
        if raised is not None:
            raise raised
        return cast("T", box[0])

    def same(self, value: object) -> bool:
        held: list[Any] = [None] * self.size
        dist.all_gather_object(held, repr(value))
        return len(set(held)) == 1


def current_ranks() -> Ranks:
    """Return the process group if one is initialised, else one process; initialises nothing."""
    many = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return TorchRanks() if many else OneProcess()
