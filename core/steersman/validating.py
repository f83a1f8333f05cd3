"""What a number in a config may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from attrs import frozen


@frozen
class Within:
    """An attrs validator: a number from `least` (or above it, `open_below`) to `greatest`; None is left alone.

    It raises ValueError, for NaN too.
    """

    least: float
    greatest: float = math.inf
    open_below: bool = False

    def __call__(self, _: Any, attribute: Any, value: float | None) -> None:
        least, greatest = self.least, self.greatest
        if value is None or (least < value <= greatest if self.open_below else least <= value <= greatest):
            return
        below = f"above {least:g}" if self.open_below else f"at least {least:g}"
        limits = f"{below} and at most {greatest:g}" if greatest != math.inf else below
        raise ValueError(f"must be {'a number' if least == -math.inf else limits}, got {value}")


def within(
    least: float, greatest: float = math.inf, *, open_below: bool = False
) -> Callable[[Any, Any, float | None], None]:
    """Return a validator of the numbers from `least` to `greatest`."""
    return Within(least, greatest, open_below)
