"""Which scalars an entry of the journal has: the names that every tracker shows."""

from __future__ import annotations

import math

import pytest

from steersman.journal import JournalEntry
from steersman.readers.names import is_metric
from steersman.reporters.scalars import scalars

CHECK = {"reason": "scheduled", "healthy": False, "values": {"learning_rate": 0.001, "kl_penalty": 0.04}}
SCORE = {"strategy": "multi-metric", "value": 1.5, "terms": {"gap": 0.25, "trend": math.nan}, "heard_at": None}
TEACHER = {"tokens": 900, "received": 300, "seconds": 4.5, "cost": None, "epochs": [{"epoch": 1, "tokens": 900}]}
CASES = {
    "a change": ("adjustment", {"hyperparameter": "learning_rate[1]", "new": 5e-4}, {"HealthCheck/learning_rate[1]": 5e-4}),
    "a change to nothing known": ("adjustment", {"hyperparameter": "learning_rate", "new": None}, {}),
    "a check": ("check", CHECK, {"HealthCheck/healthy": 0, "HealthCheck/learning_rate": 0.001, "HealthCheck/kl_penalty": 0.04}),
    "a healthy check": ("check", {"healthy": True, "values": {}}, {"HealthCheck/healthy": 1}),
    "a check that saw nothing": ("check", {"healthy": None, "values": {}}, {}),
    "info": ("finding", {"name": "slow", "severity": "info"}, {"HealthCheck/findings/slow": 1}),
    "a warning": ("finding", {"name": "stagnant", "severity": "warning"}, {"HealthCheck/findings/stagnant": 2}),
    "a critical one": ("finding", {"name": "diverged", "severity": "critical"}, {"HealthCheck/findings/diverged": 3}),
    "a score, with a term that is NaN": ("score", SCORE, {"Score/multi-metric": 1.5, "Score/multi-metric/gap": 0.25}),
    "a rejected score": ("score", {**SCORE, "value": math.inf, "terms": {}}, {}),
    "a score made again at a check": ("score", {**SCORE, "heard_at": 40}, {"Score/multi-metric/late": 1.5}),
    "the usage of an interval": (
        "record",
        {"usage": [{"ledger": "backpropagation", "tokens": 600, "seconds": 2.5}, {"ledger": "generation", "tokens": 3}]},
        {"Tokens/backpropagation/interval_tokens_per_second": 240.0},
    ),
    "calls that all failed": (
        "record",
        {"usage": [{"ledger": "teacher", "seconds": 30.0, "errors": 3}]},
        {"Tokens/teacher/interval_tokens_per_second": 0.0},
    ),
    "batches of unknown tokens": ("record", {"usage": [{"ledger": "backpropagation", "seconds": 2.0, "unknown": 8}]}, {}),
    "a record without usage": ("record", {"usage": (), "metrics": {"loss": 2.0}}, {}),
    "the ledgers": (
        "tokens",
        {"teacher": TEACHER, "generation": None, "backpropagation": None, "elapsed": 60.0, "cost": None, "currency": "USD"},
        {"Tokens/teacher/tokens": 900, "Tokens/teacher/received": 300, "Tokens/teacher/seconds": 4.5},
    ),
    "the newest interval in the ledgers": ("tokens", {"generation": {"interval_tokens_per_second": 7.0}, "backpropagation": None, "teacher": None}, {}),
    "a note": ("note", {"message": "something"}, {}),
    "a kind of a later release": ("unheard_of", {"value": 1.0}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "expected"), CASES.values(), ids=list(CASES))
def test_what_an_entry_shows(kind, data, expected):
    """Every finite number under its tag, and nothing else: no None, NaN, infinity, list or text."""
    told = scalars(JournalEntry(kind, 8, data))

    assert dict(told) == expected
    assert len(told) == len(expected)


def test_readers_leave_our_tags_out():
    """No tag of ours is taken for a metric of the user's where a tracker is read back; the user's alike are."""
    tags = [tag for kind, data, _ in CASES.values() for tag, _ in scalars(JournalEntry(kind, 8, data))]

    assert len(tags) > 10
    assert not any(map(is_metric, tags))
    assert all(map(is_metric, ("Tokens/seen", "score/a", "eval/Score", "HealthChecks")))
