"""The scalars of a journal entry: what every tracker is told, under which name. They belong to the entry's step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, get_args

from steersman.accounting.ledgers import LEDGERS
from steersman.decisions import Severity
from steersman.journal import JournalEntry
from steersman.records import number

Scalars = tuple[tuple[str, float], ...]
SEVERITIES: Mapping[str, float] = {name: float(place) for place, name in enumerate(get_args(Severity), 1)}
"""What a finding shows as: 1 is info, 2 a warning, 3 critical."""
_OF_INTERVAL = "interval_tokens_per_second"


def scalars(entry: JournalEntry) -> Scalars:
    """Return the (tag, value) pairs of an entry; what is no finite number is left out, and most entries have none.

    - `adjustment`: `HealthCheck/<hyperparameter>`, the new value.
    - `check`: `HealthCheck/healthy`, 1 or 0, and `HealthCheck/<hyperparameter>`, the value in force before the check.
    - `finding`: `HealthCheck/findings/<name>`, its severity from 1 to 3.
    - `score`: `Score/<strategy>`, lower is better, and `Score/<strategy>/<term>`; one that was made again because a
      metric came late is `Score/<strategy>/late`, so that no curve goes back.
    - `record`: `Tokens/<ledger>/interval_tokens_per_second`, since the record before it.
    - `tokens`: `Tokens/<ledger>/<field>`, each figure of the run so far.
    """
    pairs = _PAIRS.get(entry.kind)
    if pairs is None:
        return ()
    numbers = ((tag, number(value)) for tag, value in pairs(entry.data))
    return tuple((tag, value) for tag, value in numbers if value is not None and isfinite(value))


def _of_adjustment(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    yield f"HealthCheck/{data['hyperparameter']}", data["new"]


def _of_check(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    healthy = data["healthy"]
    yield "HealthCheck/healthy", None if healthy is None else int(healthy)
    for name, value in data["values"].items():
        yield f"HealthCheck/{name}", value


def _of_finding(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    yield f"HealthCheck/findings/{data['name']}", SEVERITIES[data["severity"]]


def _of_score(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    tag = f"Score/{data['strategy']}"
    if data.get("heard_at") is not None:
        yield f"{tag}/late", data["value"]
        return
    yield tag, data["value"]
    for term, value in data["terms"].items():
        yield f"{tag}/{term}", value


def _of_record(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for ledger in LEDGERS:
        usages = [usage for usage in data["usage"] if usage["ledger"] == ledger]  # one for each epoch
        tokens, seconds, unknown = (
            sum(usage.get(name, 0) for usage in usages) for name in ("tokens", "seconds", "unknown")
        )
        if seconds > 0 and (tokens or not unknown):
            yield f"Tokens/{ledger}/{_OF_INTERVAL}", tokens / seconds


def _of_tokens(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for ledger in LEDGERS:
        figures: Mapping[str, Any] = data[ledger] or {}
        for name, value in figures.items():
            if name != _OF_INTERVAL:  # told at the step of its record
                yield f"Tokens/{ledger}/{name}", value


_PAIRS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[tuple[str, Any]]]] = {
    "adjustment": _of_adjustment,
    "check": _of_check,
    "finding": _of_finding,
    "score": _of_score,
    "record": _of_record,
    "tokens": _of_tokens,
}
