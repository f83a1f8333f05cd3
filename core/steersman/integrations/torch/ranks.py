"""Rank 0 decides, all ranks receive, over torch.distributed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch.distributed as dist

from steersman.ranks import OneProcess, Ranks, expected_rank

T = TypeVar("T")
_dist: Any = dist  # its collectives are typed in part


class TorchRanks:
    """The processes of an initialised process group.

    What is sent lies on the CPU, or with NCCL on the current device, which each rank must have set before.
    """

    def __init__(self) -> None:
        self.is_main = dist.get_rank() == 0
        self.size = dist.get_world_size()

    def agree(self, decide: Callable[[], T]) -> T:
        raised: Exception | None = None
        sent: list[bytes] = [b""]
        if self.is_main:
            try:
                sent = [pickle.dumps((decide(), None))]
            except Exception as error:
                raised, sent = error, [_pickled(error)]
        _dist.broadcast_object_list(sent, src=0)
        decided: Any = None
        if raised is None:
            try:
                decided, raised = pickle.loads(sent[0])
            except Exception as error:
                raised = error
        problems = self.gathered(None if raised is None else f"{type(raised).__name__}: {raised}")
        if raised is not None:
            raise raised
        for rank, problem in enumerate(problems):
            if problem is not None:
                raise RuntimeError(f"rank {rank} cannot read what rank 0 decided: {problem}")
        return cast("T", decided)

    def same(self, value: object) -> bool:
        return len(set(self.gathered(repr(value)))) == 1

    def gathered(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.size
        _dist.all_gather_object(values, value)
        return values


def _pickled(error: Exception) -> bytes:
    """Return an error as the other ranks can read it: itself where that is possible, else its text."""
    try:
        sent = pickle.dumps((None, error))
        pickle.loads(sent)
    except Exception:
        return pickle.dumps((None, RuntimeError(f"rank 0: {type(error).__name__}: {error}")))
    return sent


def current_ranks() -> Ranks:
    """Return the process group if one is initialised, else one process; initialises nothing."""
    many = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    return TorchRanks() if many else OneProcess()


def is_probably_main() -> bool:
    """Whether this process is rank 0, or, where no process group is initialised yet, will probably be."""
    known = dist.is_available() and dist.is_initialized()
    return (dist.get_rank() if known else expected_rank()) == 0
