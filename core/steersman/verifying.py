"""Recomputes the decisions of a supervised run from its journal, and tells every difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from attrs import frozen

from steersman.config import ConfigError
from steersman.journal import JournalEntry, from_json, to_json
from steersman.late.entries import AFTER_THE_END
from steersman.readers import Recording, UnreadableRun
from steersman.readers import read as read_run
from steersman.replaying import replay

_COMPARED: Mapping[str, tuple[str, ...]] = {
    "score": ("strategy", "value", "terms", "rejected", "decides", "train_loss", "fingerprint", "heard_at"),
    "finding": ("strategy", "name", "severity", "message", "evidence"),
    "proposal": ("strategy", "action", "hyperparameter", "change", "because", "verdict", "old", "new", "number"),
    "adjustment": ("hyperparameter", "strategy", "factor", "because"),
    "outcome": ("hyperparameter", "strategy", "changed_at", "label", "before", "after", "clear"),
    "rollback": ("to_step", "strategy", "left"),
    "restart": ("because",),
}
"""The kinds of decisions, and the fields that must be the same."""


@frozen
class Verified:
    """How many decisions of a journal were recomputed, and a sentence for each that came out differently.

    From step `until` on the run had another config, or its scores depended on something else: none of that is
    recomputed. None where all of it is.
    """

    path: Path
    decisions: int
    differences: tuple[str, ...]
    until: int | None = None


def verify(path: Path, *, effects: bool = False) -> Verified:
    """Return whether the journal of the run at `path` holds what its strategies decide of its records.

    Strategies that act outside the run are asked again with `effects` only.

    Raises UnreadableRun where there is no journal, or its own config cannot be loaded here.
    """
    recording = read_run(path)
    if recording.format != "journal":
        raise UnreadableRun(path, "it has no journal (steersman/journal.jsonl), so there are no decisions to verify")
    begin = next(entry for entry in recording.decisions if entry.kind == "run")
    given = [s["name"] for s in begin.data["strategies"] if str(s["origin"]).startswith("given in Python")]
    if given:
        raise UnreadableRun(path, f"{', '.join(given)} was given as a Python object, which no journal can name again")
    try:
        again = replay(
            recording.path, recording.config or {}, folder=recording.config_folder, effects=effects, environment={}
        )
    except ConfigError as error:
        raise UnreadableRun(path, f"its own config cannot be loaded here: {'; '.join(error.problems)}") from None
    acting = {s["name"] for s in begin.data["strategies"] if s.get("effects")}
    decided = {d["strategy"] for d in _decisions(recording.decisions) if d.get("strategy") in acting}
    if decided and not effects:
        raise UnreadableRun(path, f"{', '.join(sorted(decided))} acts outside the run, and decided; --effects asks it")
    until = next((resumed.step for resumed in recording.resumes if resumed.is_other), None)
    was, now = (
        [d for d in _decisions(entries) if until is None or (d.get("heard_at") or d["step"]) < until]
        for entries in (recording.decisions, again.entries)
    )
    if recording.was_cut:
        now = _without_what_was_cut(was, now, recording)
    return Verified(recording.path, len(was), tuple(_differences(was, now)), until)


def _without_what_was_cut(
    was: list[dict[str, Any]], now: list[dict[str, Any]], recording: Recording
) -> list[dict[str, Any]]:
    """Return what was recomputed without what a killed run had no time to write: of the last step in its journal on."""
    last = max((entry.step for entry in recording.decisions), default=0)
    written = [repr(decision) for decision in was if decision["step"] >= last]
    return [decision for decision in now if decision["step"] < last or repr(decision) in written]


def _decisions(entries: Sequence[JournalEntry]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for entry in entries:
        if entry.kind == "late_heard" and entry.data.get("reason") == AFTER_THE_END:
            break  # no check of the run could hear it
        names = _COMPARED.get(entry.kind)
        if names is not None and not (entry.kind == "finding" and entry.data["severity"] == "info"):
            fields = {name: entry.data.get(name) for name in names}
            told.append({"step": entry.step, "kind": entry.kind, **from_json(to_json(fields))})
    return told


def _differences(was: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each step whose decisions differ."""
    found: list[str] = []
    for step in sorted({decision["step"] for decision in (*was, *now)}):
        before, after = (
            sorted((decision for decision in told if decision["step"] == step), key=_place) for told in (was, now)
        )
        for one, other in zip_longest(before, after):
            if repr(one) != repr(other):  # NaN is no difference to itself
                found.append(f"step {step}: {_told(one, other)}")
    return found


def _place(decision: Mapping[str, Any]) -> tuple[bool, str]:
    """Return where a decision of a step is compared: changes last, by name, for a revert makes them in any order."""
    made = decision["kind"] == "adjustment"
    return made, str(decision["hyperparameter"]) if made else ""


def _told(one: dict[str, Any] | None, other: dict[str, Any] | None) -> str:
    if one is None or other is None:
        held, side = (other, "only recomputed") if one is None else (one, "only in the journal")
        return f"{side}: {_named(held or {})}"
    if _named(one) != _named(other):
        return f"the journal has {_named(one)}; recomputed: {_named(other)}"
    changed = [f"{name} {one[name]!r} is {other[name]!r}" for name in one if repr(one[name]) != repr(other.get(name))]
    return f"{_named(one)}: {', '.join(changed)} when recomputed"


def _named(decision: Mapping[str, Any]) -> str:
    what = decision.get("name") or decision.get("hyperparameter") or decision.get("action") or ""
    return " ".join(
        str(part) for part in (decision.get("kind"), what, "of", decision.get("strategy", "Steersman")) if part
    )
