"""Rank 0 decides, every rank receives: one small broadcast at each evaluation and each due check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Ranks(Protocol):
    """The processes that train together."""

    is_main: bool
    size: int

    def agree(self, decide: Callable[[], T], nothing: T) -> T:
        """Return what `decide` returned on rank 0, on every rank; `nothing` where it raised.

        Every rank must call this at the same facts (step and kind of record). An error of rank 0 is raised there only
        after everybody has received.
        """
        ...

    def same(self, value: object) -> bool:
        """Return whether every rank holds the same value; every rank must call this at the same facts."""
        ...


class OneProcess:
    """A run in a single process."""

    is_main = True
    size = 1

    def agree(self, decide: Callable[[], T], nothing: T) -> T:
        return decide()

    def same(self, value: object) -> bool:
        return True
