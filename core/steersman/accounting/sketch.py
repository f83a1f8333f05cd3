"""A sketch of a distribution in bounded memory, of which quantiles are read within 1 % of their true value.

Values are counted in buckets that grow by 2 % each: DDSketch (Masson, Rim and Lee, PVLDB 12(12), 2019). A sketch is a
plain dict of bucket numbers as text to counts, so that it is saved, sent and added up as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

RELATIVE_ERROR = 0.01
"""How far a quantile may be off, as a share of itself."""
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LEAST, _MOST = 1e-9, 1e15
"""What is below or above is counted as that: no more than 2,800 buckets."""


def add(sketch: dict[str, int], value: float, count: int = 1) -> None:
    """Count a value above 0; what is not finite or not above 0 is left out."""
    if not (value > 0 and math.isfinite(value)):
        return
    bucket = str(math.ceil(math.log(min(max(value, _LEAST), _MOST), _GROWTH)))
    sketch[bucket] = sketch.get(bucket, 0) + count


def merged(*sketches: Mapping[str, int]) -> dict[str, int]:
    """Return one sketch of all values of several."""
    total: dict[str, int] = {}
    for sketch in sketches:
        for bucket, count in sketch.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def quantile(sketch: Mapping[str, int], share: float) -> float | None:
    """Return the value below which `share` of all lie, within 1 %; None where there is none."""
    counts = sorted((int(bucket), count) for bucket, count in sketch.items())
    rank, seen = share * sum(count for _, count in counts), 0
    for bucket, count in counts:
        seen += count
        if seen >= rank:
            return 2 * _GROWTH**bucket / (_GROWTH + 1)
    return None
