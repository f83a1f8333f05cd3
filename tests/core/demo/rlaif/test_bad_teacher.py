"""The demo's training with a teacher that answers errors, garbage, NaN and no usage: it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from local_server import Server
from local_server import serving as misbehaving

from steersman.demo.rlaif import running, training
from steersman.demo.rlaif.running import Source, run

pytestmark = pytest.mark.slow
KEY = "sk-planted-0123456789abcdef"
EPOCH = training.EPOCH


@pytest.fixture
def server() -> Iterator[Server]:
    """A teacher that answers 0.5, or what its plan says."""
    with misbehaving() as server:
        yield server


def trained(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> tuple[Any, list[str]]:
    """Train for some steps without retries; return what is told and what was said."""
    said: list[str] = []
    monkeypatch.setattr(training, "STEPS", steps)
    monkeypatch.setattr(running, "_RETRIES", 0)
    settings = {"mode": "act", "check_every": "epoch", "use": ["token-accounting"], "console": False}
    asked = Source(server.base_url, "t", KEY)
    return run(folder, settings, 0, asked, say=said.append, on_step=lambda step: None), said


def test_what_a_teacher_does_wrong(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 193 questions in eight steps those that went wrong are counted, and each kind is said once.

    Errors are in the ledger too; an answer without usage is a score whose tokens are not known.
    """
    wrong = [500, "answer", "no usage", "bad json", 429, "answer", "prose", "answer"]
    server.plan.extend(islice(cycle(wrong), 24 * EPOCH + 1))
    told, said = trained(server, tmp_path / "run", monkeypatch, EPOCH)
    unscored, ledger = told["teacher"]["unscored"], told["ledgers"]
    assert told["checks"][-1]["step"] == EPOCH
    assert (unscored["InternalServerError, status 500"], unscored["RateLimitError, status 429"]) == (25, 24)
    assert sum(unscored.values()) == 25 + 3 * 24
    assert len(said) == len(unscored)
    assert ledger["teacher_errors"] >= 25 + 24
    assert ledger["teacher_unknown"] >= 24
    assert (ledger["teacher_tokens"], ledger["teacher_received"]) == (server.sent, server.received)
    assert KEY not in (tmp_path / "run" / "steersman" / "journal.jsonl").read_text() + "".join(said)


def test_no_score_at_all(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no answer is a score two steps are trained all the same, and evaluated: 73 answers are counted."""
    server.score = "NaN"
    told, said = trained(server, tmp_path / "run", monkeypatch, 2)
    assert told["teacher"]["unscored"] == {"no number from 0 to 1": 73}
    assert told["ledgers"]["teacher_samples"] == 73
    assert len(said) == 1
    assert told["best"] is None
