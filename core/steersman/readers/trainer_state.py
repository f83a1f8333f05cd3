"""The `trainer_state.json` of the Hugging Face Trainer, TRL and everything built on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import cattrs

from steersman.readers import state_file
from steersman.readers.json_numbers import Parsed
from steersman.readers.log_entries import LogEntries, whole
from steersman.readers.recording import Recording, UnreadableRun, plan_of
from steersman.schedule import RunPlan

OWN_STATE = "steersman"
"""The key of `stateful_callbacks` under which a supervised run keeps what it knows."""


def read(path: Path, names: Mapping[str, str] | None = None) -> Recording:
    """Return the recording of one trainer_state.json; `names` maps a user's metric names onto ours.

    Raises UnreadableRun where it is no such file.
    """
    entries = LogEntries(names)
    portions = 0

    def take(portion: Parsed) -> None:
        nonlocal portions
        portions += 1
        entries.add(portion)

    state = state_file.read(path, take, entries.forget)
    if not portions:
        raise UnreadableRun(path, "it has no `log_history`, so it is no trainer_state.json")
    own = own_state(state)
    records = entries.records(inside_the_run=bool(own))  # an evaluation after the summary was made outside the run
    total = whole(state.get("max_steps"))
    plan = plan_of(records, total if total > 0 else None)
    if own.get("plan"):
        plan = cattrs.structure(own["plan"], RunPlan)
    values, facts = own.get("values", {}), own.get("facts", {})
    return Recording(path, "trainer_state", records, plan, values, {}, supervised=bool(own), facts=facts)


def own_state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a supervised run wrote into its trainer state, or nothing."""
    callbacks: object = state.get("stateful_callbacks")
    own = cast("Mapping[str, Any]", callbacks).get(OWN_STATE) if isinstance(callbacks, Mapping) else None
    return cast("Mapping[str, Any]", own).get("attributes", {}) if isinstance(own, Mapping) else {}
