"""A replayed run as a JSON object, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import cattrs

from steersman.journal import from_json, to_json
from steersman.results.run import ReplayedRun

_EXTRA = ("alarms", "alarms_per_thousand_steps")
"""What an object says beside the fields, so that its reader need not count."""


def to_object(run: ReplayedRun) -> dict[str, Any]:
    """Return a run as plain JSON values; NaN and infinity are text."""
    told = attrs.asdict(run, filter=lambda attribute, _: attribute.name != "as_of")  # of a file of results only
    made: dict[str, Any] = to_json({**told, **{name: getattr(run, name) for name in _EXTRA}})
    return made


def from_object(value: Mapping[str, Any]) -> ReplayedRun:
    """Return the run that an object tells of. Raises ValueError where it is none of ours."""
    fields = {a.name for a in attrs.fields(ReplayedRun)}
    known = {name: from_json(told) for name, told in value.items() if name in fields}
    try:
        return _CONVERTER.structure(known, ReplayedRun)
    except Exception as error:
        raise ValueError(f"it is no replayed run: {error}") from None


def _as_it_is(value: Any, _: Any) -> Any:
    return value


_CONVERTER = cattrs.Converter()
_CONVERTER.register_structure_hook(Any, _as_it_is)
_CONVERTER.register_structure_hook(float | str | None, _as_it_is)
