"""Figures by the name of a metric: read-only, and worked out when they are first looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

V = TypeVar("V", int, float)


class Figures(Mapping[str, V], Generic[V]):
    """Figures by name. One that `work_out` can give is worked out when it is asked for, and remembered."""

    __slots__ = ("_known", "_names", "_order", "_work_out")

    def __init__(
        self,
        known: dict[str, V | None],
        names: Callable[[], tuple[str, ...]] | None = None,
        work_out: Callable[[str], V | None] | None = None,
    ) -> None:
        self._known: dict[str, V | None] = known
        self._names: Callable[[], tuple[str, ...]] | None = names
        self._order: tuple[str, ...] | None = None
        self._work_out: Callable[[str], V | None] | None = work_out

    def get(self, key: str, default: Any = None) -> Any:
        """Return a figure, or `default` where there is none."""
        try:
            value = self._known[key]
        except KeyError:
            if self._work_out is None:
                return default
            value = self._known[key] = self._work_out(key)
        return default if value is None else value

    def settle(self) -> None:
        """Work out every figure, and hold on to nothing that they are worked out of."""
        if self._names is not None:
            self._known = {name: self.get(name) for name in self._all()}
            self._names = self._work_out = None

    def _all(self) -> tuple[str, ...]:
        if self._order is None:
            self._order = tuple(self._known) if self._names is None else self._names()
        return self._order

    def __getitem__(self, key: str) -> V:
        value: V | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return Figures, (dict(self),)
