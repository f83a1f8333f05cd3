"""Which journal entries are posted, and as what."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from typing import Any, Literal, cast

from steersman import JournalEntry

Kind = Literal["finding", "adjustment", "rollback", "stop", "error"]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
_MADE = frozenset({"accepted", "applied"})


def kind_of(entry: JournalEntry, least: Severity) -> Kind | None:
    """Return what a journal entry is to a reader, or None where it is nothing: a stop is a proposal that is made."""
    data = entry.data
    if entry.kind == "proposal":
        return "stop" if data.get("action") == "stop" and data.get("verdict") in _MADE else None
    if entry.kind == "finding":
        severity = data.get("severity")
        known = severity in SEVERITIES and SEVERITIES.index(severity) >= SEVERITIES.index(least)
        return "finding" if known else None
    return cast("Kind", entry.kind) if entry.kind in ("adjustment", "rollback", "error") else None


def sentence(kind: Kind, step: int, data: Mapping[str, Any]) -> str:
    """Return the entry as a person reads it."""
    who = f"steersman, step {step}: {data.get('strategy', '?')}"
    if kind == "finding":
        return f"{who}: {data.get('severity')}: {data.get('name')}: {data.get('message')}"
    if kind == "adjustment":
        change = f"{data.get('hyperparameter')} {data.get('old')} -> {data.get('new')}"
        return f"{who} changed {change} because of {data.get('because')}"
    if kind == "rollback":
        return f"{who} went back to step {data.get('to_step')}: {data.get('because')}; {data.get('left')} left"
    if kind == "stop":
        return f"{who} stops the run: {data.get('because')}"
    return f"{who} failed in {data.get('hook')}: {data.get('error')}"


def payload(entry: JournalEntry, kind: Kind, labels: Mapping[str, str], text_field: str) -> str:
    """Return the JSON to post for an entry. What is not finite is text.

    A traceback stays in the journal: it may show more of a machine than a chat should.
    """
    data = {name: value for name, value in entry.data.items() if name != "trace"}
    told = {**data, "kind": kind, "step": entry.step, "time": entry.time}
    if labels:
        told["labels"] = labels
    named = "".join(f" [{value}]" for value in labels.values())
    told[text_field] = sentence(kind, entry.step, entry.data) + named
    return json.dumps(_plain(told), allow_nan=False, ensure_ascii=False)


def _plain(value: object) -> object:
    """Return `value` as JSON holds it, NaN and infinity as the journal writes them."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, numbers.Real):
        number = float(value)
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in cast("list[object]", value)]
    return str(value)
