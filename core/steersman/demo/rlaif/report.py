"""What the demo says when it is over, from the journal alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from steersman.demo.rlaif.training import DRIFT_FACTOR, DRIFT_FROM, DRIFT_TO
from steersman.journal import JournalEntry

TEACHER = "rewards/teacher/mean"
"""Under which name TRL logs the teacher's scores, before any weight."""
_CHANGE = ("hyperparameter", "old", "new", "read_back", "because")
_FINDING = ("name", "message", "severity", "evidence")


def facts(entries: Sequence[JournalEntry]) -> dict[str, Any]:
    """Return what the journal tells of the run as one JSON object, `version` 1."""
    end = next(entry.data for entry in entries if entry.kind == "end")
    ledger = next(e.data["evidence"] for e in entries if e.kind == "finding" and e.data["name"] == "token-ledger")
    return {
        "version": 1,
        "preset": "seed",
        "drift": {"first_step": DRIFT_FROM + 1, "last_step": DRIFT_TO, "learning_rate_factor": DRIFT_FACTOR},
        "checks": [*_checks(entries)],
        "findings": _of(entries, "finding", _FINDING),
        "changes": _of(entries, "adjustment", _CHANGE),
        "best": end["best"],
        "ledgers": ledger,
        "duration_seconds": end["elapsed"],
        "journal": end["journal"],
    }


def _of(entries: Sequence[JournalEntry], kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"step": e.step, **{name: e.data[name] for name in names}} for e in entries if e.kind == kind]


def _checks(entries: Sequence[JournalEntry]) -> Iterator[dict[str, Any]]:
    """Yield what each check saw, and the teacher's own scores, KL and entropy of the same steps."""
    checks = [e for e in entries if e.kind == "check" and e.data["reason"] == "scheduled"]
    logs = [e for e in entries if e.kind == "record" and e.data["of"] == "train"]
    for before, check in pairwise([None, *checks]):
        assert check is not None
        since = before.step if before is not None else 0
        of = [log.data["metrics"] for log in logs if since < log.step <= check.step]
        seen = {name: check.data.get(name) for name in ("epoch", "loss", "reward", "reward_variance", "healthy")}
        own = {"teacher_score": _mean(of, TEACHER), "kl": _mean(of, "kl"), "entropy": _mean(of, "entropy")}
        yield {"step": check.step, **seen, **own}


def _mean(logs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [log[name] for log in logs if isinstance(log.get(name), float) and log[name] == log[name]]
    return statistics.fmean(values) if values else None


def by_hyperparameter(told: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the changes of each hyperparameter, in order."""
    changes: dict[str, list[dict[str, Any]]] = {}
    for change in told["changes"]:
        changes.setdefault(change["hyperparameter"], []).append(change)
    return changes


def caught_at(told: Mapping[str, Any]) -> int | None:
    """Return the step of the first check that found something while the drift lasted, None where none did."""
    drift = told["drift"]
    steps = [f["step"] for f in told["findings"] if drift["first_step"] <= f["step"] <= drift["last_step"]]
    return min(steps, default=None)


def story(told: Mapping[str, Any]) -> str:
    """Return what happened in three sentences with the figures."""
    drift = told["drift"]
    scored = [check for check in told["checks"] if check["teacher_score"] is not None]
    before = [check for check in scored if check["step"] < drift["first_step"]]
    while_it_lasted = [check for check in scored if drift["first_step"] <= check["step"] <= drift["last_step"]]
    if not before or not while_it_lasted:
        return "The teacher scored too little to tell a story."
    first, top, last = before[0], before[-1], scored[-1]
    worst = min(while_it_lasted, key=lambda check: check["teacher_score"])
    furthest = max(while_it_lasted, key=lambda check: check["kl"])
    return (
        f"The teacher's mean score went from {first['teacher_score']:.2f} in the first epoch to "
        f"{top['teacher_score']:.2f}; then, from step {drift['first_step']} to {drift['last_step']}, the schedule "
        f"multiplied the learning rate by {drift['learning_rate_factor']:g}, and the score went to "
        f"{worst['teacher_score']:.2f} and the KL from {top['kl']:.2f} to {furthest['kl']:.2f}. {_reaction(told)} "
        f"In the last epoch the teacher's score is {last['teacher_score']:.2f}, "
        f"{_compared(last['teacher_score'], top['teacher_score'])} before the drift; the reward that TRL logs, "
        f"{last['reward']:.2f}, is that score times the reward weight."
    )


def _reaction(told: Mapping[str, Any]) -> str:
    step = caught_at(told)
    if step is None:
        return "No check found anything while it lasted."
    found = ", ".join(dict.fromkeys(f["name"] for f in told["findings"] if f["step"] == step))
    here = [c for c in told["changes"] if c["step"] == step]
    changed = ", ".join(f"{c['hyperparameter']} {c['old']:.3g} -> {c['new']:.3g}" for c in here) or "nothing"
    return f"The check at step {step} caught it ({found}) and changed {changed}."


def _compared(value: float, other: float) -> str:
    by = value - other
    return f"{abs(by):.2f} {'more' if by >= 0 else 'less'} than"
