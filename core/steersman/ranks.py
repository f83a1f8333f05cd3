"""Rank 0 decides, every rank receives: one small broadcast at each evaluation, each log and each due check."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

T = TypeVar("T")


class Ranks(Protocol):
    """The processes that train together."""

    is_main: bool
    size: int

    def agree(self, decide: Callable[[], T]) -> T:
        """Return what `decide` returned on rank 0, on every rank.

        Every rank must call this at the same facts (step and kind of record). Where rank 0 raises, or any rank cannot
        read the decision, every rank raises, after everybody has received: so all go on alike.
        """
        ...

    def same(self, value: object) -> bool:
        """Return, on every rank, whether all hold the same value: one that prints the same, as NaN does.

        Every rank must call this at the same facts.
        """
        ...

    def gathered(self, value: T) -> list[T]:
        """Return, on every rank, the values of all ranks, in their order. Every rank must call this at the same facts.

        What is sent are plain values that can be pickled.
        """
        ...


class OneProcess:
    """A run in a single process."""

    is_main = True
    size = 1

    def agree(self, decide: Callable[[], T]) -> T:
        return decide()

    def same(self, value: object) -> bool:
        return True

    def gathered(self, value: T) -> list[T]:
        return [value]


_RANKS = ("RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "OMPI_COMM_WORLD_RANK")
_PARTS = ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK")


def expected_rank(environment: Mapping[str, str] | None = None) -> int:
    """Return the global rank that this process will probably have, from what launchers tell it; 0 where none does.

    Where only parts of it are told (Lightning's own launcher), any that is not 0 is returned. It is known for certain
    once the processes have met: see `Ranks.is_main`.
    """
    told = os.environ if environment is None else environment
    whole = next((int(told[name]) for name in _RANKS if told.get(name, "").isdigit()), None)
    return whole if whole is not None else max(int(told[n]) if told.get(n, "").isdigit() else 0 for n in _PARTS)
