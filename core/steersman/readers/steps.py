"""The step that a log tells, however it is written."""

from __future__ import annotations

from steersman.records import number

_LARGEST = 2**63 - 1


def step_told(value: object) -> int | None:
    """Return a step without its fraction: `20`, `20.0` and `"20"` are 20; None for what counts no steps."""
    if type(value) is int:
        return value if abs(value) < _LARGEST else None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    as_number = number(value)
    return int(as_number) if as_number is not None and abs(as_number) < _LARGEST else None
