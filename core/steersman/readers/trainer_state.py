"""The `trainer_state.json` of the Hugging Face Trainer, TRL and everything built on them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import cattrs
import orjson

from steersman.readers.recording import Recording, UnreadableRun, plan_of
from steersman.records import is_other_evaluation, kind_of, number, record_from_logs
from steersman.schedule import RunPlan

OWN_STATE = "steersman"
"""The key of `stateful_callbacks` under which a supervised run keeps what it knows."""


def read(path: Path) -> Recording:
    """Return the recording of one trainer_state.json.

    Raises UnreadableRun where it is no such file.
    """
    return from_state(path, load(path))


def from_state(path: Path, state: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of a loaded trainer state."""
    history: object = state.get("log_history")
    if not isinstance(history, list):
        raise UnreadableRun(path, "it has no `log_history`, so it is no trainer_state.json")
    entries = [cast("dict[str, object]", e) for e in cast("list[object]", history) if isinstance(e, dict)]
    own = own_state(state)
    entries = _inside_the_run(entries) if own else entries
    told = [entry for entry in entries if not is_other_evaluation(entry)]
    records = tuple(record_from_logs(e, step=_whole(e.get("step")), names=names) for e in told)
    total = _whole(state.get("max_steps"))
    plan = plan_of(records, total if total > 0 else None)
    if own.get("plan"):
        plan = cattrs.structure(own["plan"], RunPlan)
    values, facts = own.get("values", {}), own.get("facts", {})
    return Recording(path, "trainer_state", records, plan, values, {}, supervised=bool(own), facts=facts)


def _inside_the_run(entries: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the entries up to the final summary; an evaluation after it was made outside the run."""
    ends = [i for i, entry in enumerate(entries) if kind_of(entry) == "summary"]
    return entries[: ends[-1] + 1] if ends else entries


def _whole(value: object) -> int:
    as_number = number(value)
    return int(as_number) if as_number is not None and math.isfinite(as_number) else 0


def own_state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a supervised run wrote into its trainer state, or nothing."""
    callbacks: object = state.get("stateful_callbacks")
    own = cast("Mapping[str, Any]", callbacks).get(OWN_STATE) if isinstance(callbacks, Mapping) else None
    return cast("Mapping[str, Any]", own).get("attributes", {}) if isinstance(own, Mapping) else {}


def load(path: Path) -> Mapping[str, Any]:
    """Return the JSON object in a file; bare NaN and Infinity are read, as the Trainer writes them.

    Raises UnreadableRun where the file cannot be read or holds none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableRun(path, f"it cannot be read: {error.strerror}") from None
    if content.startswith(b"version https://git-lfs"):
        raise UnreadableRun(path, "it is a Git LFS pointer, not the file itself; run `git lfs pull`")
    try:
        state: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            state = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UnreadableRun(path, f"it is no JSON: {error}") from None
    if not isinstance(state, dict):
        raise UnreadableRun(path, f"expected a JSON object, got {type(state).__name__}")
    return cast("dict[str, Any]", state)
