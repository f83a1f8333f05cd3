"""`token-accounting`: three ledgers, rates and durations, through the real Supervisor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from steersman import Record, Supervisor, Usage, replay
from steersman.config import read
from steersman.journal import Journal
from steersman.loading import load
from steersman.reporters.accounts import duration
from steersman.testing import Story, a_run
from steersman_plugins.token_accounting import TokenAccounting


def ledger(story: Story) -> tuple[list[str], Any]:
    """The lines and the figures of the one finding that the strategy makes, at the end."""
    played = story.play(TokenAccounting)
    assert played.errors == ()
    [finding] = played.findings
    return finding.message.splitlines(), finding.evidence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (8130.5, "2h 15m 30s (8130.5 seconds)"),
        (0.0, "0h 0m 0s (0.0 seconds)"),
        (59.96, "0h 0m 59s (60.0 seconds)"),
        (3600.0, "1h 0m 0s (3600.0 seconds)"),
        (360000.25, "100h 0m 0s (360000.2 seconds)"),
        (None, "not in this log"),
    ],
)
def test_a_duration_in_words(seconds: float | None, text: str) -> None:
    """Hours, minutes and whole seconds, then the seconds to a tenth; a log without time says so."""
    assert duration(seconds) == text


def test_the_training_duration_is_reported() -> None:
    """8130.5 seconds of training are `2h 15m 30s (8130.5 seconds)`."""
    said, evidence = ledger(a_run().takes(4000.0).epoch(loss=1.0).takes(4130.5).epoch(loss=1.0))

    assert said[0] == "Training Duration: 2h 15m 30s (8130.5 seconds)"
    assert evidence["duration_seconds"] == 8130.5


def test_totals_have_thousands_separators() -> None:
    """76,000 and 505 tokens generated are `Total Tokens Generated: 76,505`, at 76,505 / 50 = 1,530 tokens/s."""
    story = a_run().spent("generation", tokens=76_000, seconds=40.0, samples=64).epoch(loss=1.0)

    said, evidence = ledger(story.spent("generation", tokens=505, seconds=10.0, samples=1).epoch(loss=1.0))

    assert said[1] == "Total Tokens Generated: 76,505 (1,530 tokens/s, p99 1,901); 65 sequences in 0h 0m 50s"
    assert (evidence["generation_tokens"], evidence["generation_samples"]) == (76_505, 65)
    assert evidence["generation_tokens_per_second"] == pytest.approx(1530.1)


def test_the_ledgers_are_apart() -> None:
    """Generation, backpropagation and the teacher each have totals, seconds and samples of their own."""
    story = a_run(steps_per_epoch=None)
    for _ in range(2):
        story = story.spent("generation", tokens=100, seconds=2.0, samples=1)
        story = story.spent("backpropagation", tokens=4000, seconds=5.0, samples=8)
        story = story.spent("teacher", tokens=300, seconds=10.0, samples=3, received=60).log(loss=1.0)

    said, evidence = ledger(story)

    names = ("tokens", "seconds", "samples", "tokens_per_second")
    assert {name: [evidence[f"{name}_{what}"] for what in names] for name in ("generation", "backpropagation")} == {
        "generation": [200, 4.0, 2, 50.0],
        "backpropagation": [8000, 10.0, 16, 800.0],
    }
    assert said[1:] == [
        "Total Tokens Generated: 200 (50 tokens/s, p99 50); 2 sequences in 0h 0m 4s",
        "Total Tokens Trained On: 8,000 (800 tokens/s, p99 804); 16 sequences in 0h 0m 10s",
        "Total Tokens Sent To Teacher: 600 (30 tokens/s, p99 30); 6 answers in 0h 0m 20s",
        "Total Tokens Received From Teacher: 120 (6 tokens/s, p99 6)",
    ]


def test_the_teachers_tokens_sent_and_received_are_apart() -> None:
    """A teacher has totals, rates, an average per epoch and a breakdown by epoch, for input and for output."""
    story = a_run(8).spent("teacher", tokens=1000, seconds=10.0, samples=2, received=100).epoch(loss=1.0)
    story = story.spent("teacher", tokens=400, seconds=10.0, samples=2, received=50).log(steps=4, loss=1.0)
    story = story.spent("teacher", tokens=600, seconds=20.0, samples=2, received=150).log(steps=4, loss=1.0)

    said, evidence = ledger(story)

    assert (evidence["teacher_tokens"], evidence["teacher_received"]) == (2000, 300)
    assert (evidence["teacher_tokens_per_second"], evidence["teacher_received_per_second"]) == (50.0, 7.5)
    assert (evidence["teacher_tokens_per_epoch"], evidence["teacher_received_per_epoch"]) == (1000.0, 150.0)
    assert said[-2:] == ["  epoch 1: 1,000 sent, 100 received", "  epoch 2: 1,000 sent, 200 received"]


def test_a_run_without_usage_reports_its_duration_alone() -> None:
    """Where no tokens were counted no ledger is made up."""
    said, evidence = ledger(a_run().takes(61.0).epoch(loss=1.0))

    assert said == ["Training Duration: 0h 1m 1s (61.0 seconds)"]
    assert evidence == {"duration_seconds": 61.0}


def test_tokens_without_a_time_have_no_rate() -> None:
    """Where the trainer knows no seconds the total is told without a rate, and nothing divides by zero."""
    said, evidence = ledger(a_run().spent("generation", tokens=1200).epoch(loss=1.0))

    assert said[1] == "Total Tokens Generated: 1,200; 0 sequences"
    assert (evidence["generation_tokens_per_second"], evidence["generation_p99_tokens_per_second"]) == (None, None)


def test_the_99th_percentile_of_a_run() -> None:
    """Of rates 1, 8, ..., 200^3 tokens/s the 99th percentile is 198^3, within 1 %; the next is 1.5 % away."""
    story = a_run()
    for step in range(1, 201):
        story = story.spent("generation", tokens=step**3, seconds=1.0).log(loss=1.0)

    _, evidence = ledger(story)

    assert evidence["generation_p99_tokens_per_second"] == pytest.approx(198**3, rel=0.01)


def test_the_breakdown_keeps_the_newest_epochs() -> None:
    """Of 200 epochs the newest 128 are broken down, the newest 12 in words; the totals cover all."""
    story = a_run(1)
    for _ in range(200):
        story = story.spent("teacher", tokens=10, seconds=1.0, received=1).epoch(loss=1.0)

    said, evidence = ledger(story)

    assert evidence["teacher_tokens"] == 2000
    assert [line for line in said if line.startswith("  epoch")] == [
        f"  epoch {epoch}: 10 sent, 1 received" for epoch in range(189, 201)
    ]
    assert [name for name in evidence if name.startswith("teacher_epoch_") and name.endswith("_tokens")] == [
        f"teacher_epoch_{epoch}_tokens" for epoch in range(73, 201)
    ]


def test_the_ledgers_and_the_duration_go_on_after_a_resume() -> None:
    """A run that is saved and resumed half way reports the same totals, rates and duration as the straight one."""
    straight, resumed = a_run(8), a_run(8)
    for i in range(1, 7):
        straight, resumed = (
            story.takes(30.0).spent("teacher", tokens=100 * i, seconds=2.0, received=i).epoch(loss=1.0)
            for story in (straight, resumed)
        )
        resumed = resumed.resume() if i == 3 else resumed

    expected, found = ledger(straight), ledger(resumed)
    assert found == expected
    assert any("Total Tokens Sent To Teacher: 2,100" in line for line in expected[0])


def test_a_journal_that_is_replayed_has_the_same_ledgers(tmp_path: Path) -> None:
    """The usage of each record is read back from the journal, so that replay reports what the run reported."""
    config = read({"use": ["token-accounting"]})
    journal = Journal(tmp_path / "journal.jsonl")
    journal.open()
    entries: list[Any] = []
    journal.subscribers.append(entries.append)
    journal.write("run", 0, resumed=False)
    supervisor = Supervisor(config, load(config, []), journal=journal)
    supervisor.begin()
    supervisor.feed(Record(10, "train", {"loss": 1.0}, None, 61.5, (Usage("teacher", 1200, 4.0, 3, received=34),)))
    supervisor.end()
    journal.close()

    again = replay(tmp_path / "journal.jsonl", {"use": ["token-accounting"]})

    [live] = [entry.data for entry in entries if entry.kind == "finding"]
    [replayed] = [entry.data for entry in again.of("finding")]
    assert replayed == live
    assert "Total Tokens Received From Teacher: 34" in live["message"]
