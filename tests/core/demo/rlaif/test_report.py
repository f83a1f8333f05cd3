"""What the demo tells, from the lines of a journal."""

from __future__ import annotations

from typing import Any

import pytest

from steersman.demo.rlaif.report import by_hyperparameter, caught_at, facts, story
from steersman.demo.rlaif.training import DRIFT_FACTOR, DRIFT_FROM, DRIFT_TO, EPOCH
from steersman.journal import JournalEntry


def log(step: int, score: float | None, kl: float) -> JournalEntry:
    """A train log of TRL: the teacher's mean score where it gave any, the KL and the entropy."""
    scored = {} if score is None else {"rewards/teacher/mean": score}
    return JournalEntry("record", step, {"of": "train", "metrics": {**scored, "kl": kl, "entropy": 4.0}})


def check(step: int, reward: float) -> JournalEntry:
    """A check at the end of an epoch."""
    seen = {"epoch": step / EPOCH, "loss": 0.01, "reward": reward, "reward_variance": 0.02, "healthy": False}
    return JournalEntry("check", step, {"reason": "scheduled", **seen})


def finding(step: int, name: str, evidence: Any = None) -> JournalEntry:
    """A finding."""
    return JournalEntry(
        "finding", step, {"name": name, "message": "m", "severity": "warning", "evidence": evidence or {}}
    )


def change(step: int, name: str, old: float, new: float) -> JournalEntry:
    """A change that was made."""
    made = {"hyperparameter": name, "old": old, "new": new, "read_back": new, "because": "r"}
    return JournalEntry("adjustment", step, made)


END = [
    finding(DRIFT_TO + EPOCH, "token-ledger", {"teacher_tokens": 7}),
    JournalEntry("end", DRIFT_TO + EPOCH, {"best": None, "elapsed": 1.5, "journal": "j"}),
]


@pytest.fixture
def entries() -> list[JournalEntry]:
    """A run of four checks: before the drift, after its first epoch, at its end, an epoch later."""
    drifting, over = DRIFT_FROM + EPOCH, DRIFT_TO + EPOCH
    return [
        log(DRIFT_FROM - 1, 0.5, 0.5), log(DRIFT_FROM, 0.7, 1.5), check(DRIFT_FROM, 0.6),
        log(drifting - 1, 0.4, 3.0), log(drifting, None, 5.0), check(drifting, 0.4),
        finding(drifting, "loss-spike"), finding(drifting, "reward-declining"),
        change(drifting, "learning_rate", 0.04, 0.032), change(drifting, "reward_weight", 1.0, 1.15),
        log(DRIFT_TO, 0.3, 2.0), check(DRIFT_TO, 0.345), change(DRIFT_TO, "learning_rate", 0.032, 0.0256),
        log(over, 0.8, 1.0), check(over, 0.92),
        *END,
    ]  # fmt: skip


def test_each_check_has_the_teachers_own_score(entries: list[JournalEntry]) -> None:
    """The means of the steps since the check before: 0.6 of 0.5 and 0.7, 0.4 where one step had no score, and so on."""
    told = facts(entries)["checks"]
    assert [check["step"] for check in told] == [DRIFT_FROM, DRIFT_FROM + EPOCH, DRIFT_TO, DRIFT_TO + EPOCH]
    assert [check["teacher_score"] for check in told] == pytest.approx([0.6, 0.4, 0.3, 0.8])
    assert [check["kl"] for check in told] == pytest.approx([1.0, 4.0, 2.0, 1.0])
    assert [check["reward"] for check in told] == [0.6, 0.4, 0.345, 0.92]


def test_three_sentences_with_figures(entries: list[JournalEntry]) -> None:
    """The story has the rise, the drift, what caught it, what was changed, and the end beside the truth."""
    told = story(facts(entries))
    assert told == (
        f"The teacher's mean score went from 0.60 in the first epoch to 0.60; then, from step {DRIFT_FROM + 1} to "
        f"{DRIFT_TO}, the schedule multiplied the learning rate by {DRIFT_FACTOR:g}, and the score went to 0.30 and "
        f"the KL from 1.00 to 4.00. The check at step {DRIFT_FROM + EPOCH} caught it (loss-spike, reward-declining) "
        "and changed learning_rate 0.04 -> 0.032, reward_weight 1 -> 1.15. In the last epoch the teacher's score is "
        "0.80, 0.20 more than before the drift; the reward that TRL logs, 0.92, is that score times the reward weight."
    )


def test_a_drift_that_nothing_caught_is_told(entries: list[JournalEntry]) -> None:
    """Without a finding while it lasted the story says so; a finding before the drift is none."""
    quiet = [e for e in entries if e.kind != "finding" or e.data["name"] == "token-ledger"]
    told = facts([finding(DRIFT_FROM, "loss-rising"), *quiet])
    assert caught_at(told) is None
    assert "No check found anything while it lasted." in story(told)


def test_a_teacher_that_scored_nothing() -> None:
    """A run in which no score came has no story, and no error."""
    told = facts([log(DRIFT_FROM, None, 1.0), check(DRIFT_FROM, 0.0), *END])
    assert told["checks"][0]["teacher_score"] is None
    assert story(told) == "The teacher scored too little to tell a story."


def test_changes_by_hyperparameter(entries: list[JournalEntry]) -> None:
    """Two changes of the rate and one of the weight, in order."""
    changes = by_hyperparameter(facts(entries))
    assert [(c["old"], c["new"]) for c in changes["learning_rate"]] == [(0.04, 0.032), (0.032, 0.0256)]
    assert [c["new"] for c in changes["reward_weight"]] == [1.15]
