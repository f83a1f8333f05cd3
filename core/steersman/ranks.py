"""Rank 0 decides, every rank receives: one small broadcast at each evaluation, each log and each due check."""

from __future__ import annotations

from collections.abc import Callable
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


class OneProcess:
    """A run in a single process."""

    is_main = True
    size = 1

    def agree(self, decide: Callable[[], T]) -> T:
        return decide()

    def same(self, value: object) -> bool:
        return True
