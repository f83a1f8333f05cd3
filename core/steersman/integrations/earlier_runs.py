"""What earlier runs left in a run directory and its checkpoints: a stop, rollbacks used, factors, steps without us."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from steersman.accounting.ledgers import added
from steersman.control import clear_stop, stopped
from steersman.journal import JournalEntry, attempts, to_json
from steersman.rails import Mode
from steersman.readers.journal import standing
from steersman.records import Usage
from steersman.registry import Registry

FACTORS = "steersman.json"


@frozen
class Earlier:
    """What is known of the run that goes on.

    Why it was stopped, if it was; rollbacks it used; how many of its journal's lines come after the step it goes on
    from, so that they count no more; what to say of it. `spent` is the seconds that were lost, as far as its journal
    tells: `redone` at those steps, `down` since its last line. `usage` is what a teacher was paid for at those steps.
    """

    stopped_because: str = ""
    rollbacks: int = 0
    superseded: int = 0
    notes: tuple[str, ...] = ()
    spent: Mapping[str, float] = field(factory=dict[str, float])
    usage: tuple[Usage, ...] = ()


def heard_of(folder: Path, journal: Path | None, step: int, saved: Mapping[str, Any], mode: Mode = "act") -> Earlier:
    """Return what the files of `folder` and the state in the checkpoint tell of a run that goes on at `step`.

    A run from its beginning is another: the mark of a stop is taken away.
    """
    if step == 0:
        clear_stop(folder)
        return Earlier()
    notes: list[str] = []
    because, mark = "", stopped(folder)
    if mark is not None:
        because = f"it was stopped at step {mark[0]}: {mark[1]}"
        then = (
            f"it stops again, and `steersman resume --clear {folder.parent}` lets it go on"
            if mode in ("ask", "act")
            else f"mode {mode} lets it go on"
        )
        notes.append(f"{because}; {then}")
    last = int(saved.get("step", step))
    if last < step:
        notes.append(f"steps {last + 1} to {step} were trained without Steersman, with the values of your own config")
    lines = _last_run(journal)
    rollbacks = sum(entry.kind == "rollback" for entry in lines)
    lost, paid = _lost(lines, step, time.time())
    return Earlier(because, rollbacks, sum(entry.step > step for entry in lines), tuple(notes), lost, paid)


def leave_factors(checkpoint: Path, step: int, registry: Registry) -> None:
    """Write which hyperparameters were changed, by what factor and to what value: optimizer.pt does not hold it."""
    changed = {
        name: {"factor": entry.factor, "value": entry.value}
        for name, entry in registry.entries.items()
        if entry.changed
    }
    what = "changes by Steersman in force at this checkpoint; a run resumed without Steersman trains without them"
    told = to_json({"version": 1, "step": step, "what": what, "hyperparameters": changed})
    (checkpoint / FACTORS).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _lost(lines: Sequence[JournalEntry], step: int, now: float) -> tuple[dict[str, float], tuple[Usage, ...]]:
    """Return the seconds lost to the restart at `step`, those of restarts that it undoes too, and a teacher's usage."""
    known = [(entry, entry.time) for entry in standing(lines) if entry.time is not None]
    if not known or known[-1][0].kind == "end":
        return {}, ()
    undone = [entry.data for entry, _ in known if entry.step > step and entry.kind == "record"]
    paid = [Usage(**usage) for data in undone for usage in data.get("usage", ()) if usage["ledger"] == "teacher"]
    last, stands = known[-1][1], [at for entry, at in known if entry.step <= step]
    before: list[Mapping[str, float]] = [data.get("spent") or {} for data in undone]
    redone = last - stands[-1] if stands and known[-1][0].step > step else 0.0
    spent = {
        "redone": redone + sum(each.get("redone", 0.0) for each in before),
        "down": max(now - last, 0.0) + sum(each.get("down", 0.0) for each in before),
    }
    return spent, (added(paid),) if paid else ()


def _last_run(journal: Path | None) -> list[JournalEntry]:
    """Return the lines of the run that goes on, those after its checkpoint too."""
    try:
        return attempts(journal)[-1] if journal is not None else []
    except (OSError, ValueError, IndexError):
        return []
