"""`token-accounting`: three ledgers, rates and durations, through the real Supervisor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import Record, RunPlan, Supervisor, Usage, replay
from steersman.config import read
from steersman.journal import Journal
from steersman.loading import load
from steersman_plugins.token_accounting import add, duration, p99

USE = ["token-accounting"]


def ledger(told: Any) -> tuple[list[str], Any]:
    """The lines and the figures of the one finding that the strategy makes, at the end."""
    [finding] = told.of("finding", strategy="token-accounting")
    return finding["message"].splitlines(), finding["evidence"]


def spent(step: int, *usage: Usage, elapsed: float | None = None, epoch: float | None = None) -> Record:
    return Record(step, "train", {"loss": 1.0}, epoch, elapsed, usage)


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


def test_the_training_duration_is_reported(tell: Any) -> None:
    """8130.5 seconds of training are `2h 15m 30s (8130.5 seconds)`."""
    said, evidence = ledger(tell(USE, [spent(10, elapsed=4000.0), spent(20, elapsed=8130.5)]))

    assert said[0] == "Training Duration: 2h 15m 30s (8130.5 seconds)"
    assert evidence["duration_seconds"] == 8130.5


def test_totals_have_thousands_separators(tell: Any) -> None:
    """76,000 and 505 tokens generated are `Total Tokens Generated: 76,505`, at 76,505 / 50 = 1,530 tokens/s."""
    usage = [Usage("generation", 76_000, 40.0, 64), Usage("generation", 505, 10.0, 1)]

    said, evidence = ledger(tell(USE, [spent(10, usage[0]), spent(20, usage[1])]))

    assert said[1] == "Total Tokens Generated: 76,505 (1,530 tokens/s)"
    assert (evidence["generation_tokens"], evidence["generation_samples"]) == (76_505, 65)
    assert evidence["generation_tokens_per_second"] == pytest.approx(1530.1)


def test_the_ledgers_are_apart(tell: Any) -> None:
    """Generation, backpropagation and the teacher each have totals, seconds and samples of their own."""
    usage = (
        Usage("generation", 100, 2.0, 1),
        Usage("backpropagation", 4000, 5.0, 8),
        Usage("teacher", 300, 10.0, 3, received=60),
    )

    said, evidence = ledger(tell(USE, [spent(10, *usage), spent(20, *usage)]))

    names = ("tokens", "seconds", "samples", "tokens_per_second")
    assert {name: [evidence[f"{name}_{what}"] for what in names] for name in ("generation", "backpropagation")} == {
        "generation": [200, 4.0, 2, 50.0],
        "backpropagation": [8000, 10.0, 16, 800.0],
    }
    assert said[1:] == [
        "Total Tokens Generated: 200 (50 tokens/s)",
        "Total Tokens Trained On: 8,000 (800 tokens/s)",
        "Total Tokens Sent To Teacher: 600 (30 tokens/s)",
        "Total Tokens Received From Teacher: 120 (6 tokens/s)",
    ]


def test_the_teachers_tokens_sent_and_received_are_apart(tell: Any) -> None:
    """A teacher has totals, rates, an average per epoch and a breakdown by epoch, for input and for output."""
    records = [
        spent(8, Usage("teacher", 1000, 10.0, 2, received=100), epoch=1.0),
        spent(12, Usage("teacher", 400, 10.0, 2, received=50), epoch=1.5),
        spent(16, Usage("teacher", 600, 20.0, 2, received=150), epoch=2.0),
    ]

    said, evidence = ledger(tell(USE, records))

    assert (evidence["teacher_tokens"], evidence["teacher_received"]) == (2000, 300)
    assert (evidence["teacher_tokens_per_second"], evidence["teacher_received_per_second"]) == (50.0, 7.5)
    assert (evidence["teacher_tokens_per_epoch"], evidence["teacher_received_per_epoch"]) == (1000.0, 150.0)
    assert said[-2:] == ["  epoch 1: 1,000 sent, 100 received", "  epoch 2: 1,000 sent, 200 received"]


def test_a_run_without_usage_reports_its_duration_alone(tell: Any) -> None:
    """Where no tokens were counted no ledger is made up."""
    said, evidence = ledger(tell(USE, [spent(10, elapsed=61.0)]))

    assert said == ["Training Duration: 0h 1m 1s (61.0 seconds)"]
    assert evidence == {"duration_seconds": 61.0}


def test_tokens_without_a_time_have_no_rate(tell: Any) -> None:
    """Where the trainer knows no seconds the total is told without a rate, and nothing divides by zero."""
    told = tell(USE, [spent(10, Usage("generation", 1200))])

    said, evidence = ledger(told)
    assert said[1] == "Total Tokens Generated: 1,200"
    assert (evidence["generation_tokens_per_second"], evidence["generation_p99_tokens_per_second"]) == (None, None)
    assert told.of("error") == []


RATES = st.lists(st.tuples(st.integers(1, 10**9), st.floats(1e-3, 1e5)), min_size=1, max_size=300)


@given(RATES)
def test_the_99th_percentile_is_within_one_percent(intervals: list[tuple[int, float]]) -> None:
    """For any rates the estimate is within 1 % of the exact 99th percentile (nearest rank)."""
    made: dict[str, Any] = {}
    for tokens, seconds in intervals:
        add(made, Usage("generation", tokens, seconds))

    rates = sorted(tokens / seconds for tokens, seconds in intervals)
    exact = rates[-(-99 * len(rates) // 100) - 1]
    assert p99(made) == pytest.approx(exact, rel=0.01 + 1e-9)


def test_the_99th_percentile_of_a_run(tell: Any) -> None:
    """Of rates 1, 8, ..., 200^3 tokens/s the 99th percentile is 198^3, within 1 %; the next is 1.5 % away."""
    records = [spent(step, Usage("generation", step**3, 1.0)) for step in range(1, 201)]

    _, evidence = ledger(tell(USE, records))

    assert evidence["generation_p99_tokens_per_second"] == pytest.approx(198**3, rel=0.01)


def test_the_ledger_stays_small_on_a_long_run() -> None:
    """Rates from 1e-6 to 1e12 tokens/s fill at most ln(1e18) / ln(1.0202) + 2 buckets, however many."""
    made: dict[str, Any] = {}
    for i in range(20_000):
        add(made, Usage("generation", 1, 10.0 ** (-12 + 18 * i / 20_000)))

    assert len(made["rates"]) <= math.log(1e18) / math.log(1.01 / 0.99) + 2


def test_the_breakdown_keeps_the_newest_epochs(tell: Any) -> None:
    """Of 200 epochs the newest 128 are broken down; the totals cover all."""
    records = [spent(epoch, Usage("teacher", 10, 1.0, received=1), epoch=float(epoch)) for epoch in range(1, 201)]

    said, evidence = ledger(tell(USE, records))

    assert evidence["teacher_tokens"] == 2000
    assert [line for line in said if line.startswith("  epoch")][0::127] == [
        "  epoch 73: 10 sent, 1 received",
        "  epoch 200: 10 sent, 1 received",
    ]


def test_the_ledgers_and_the_duration_go_on_after_a_resume() -> None:
    """A run that is saved and resumed half way reports the same totals, rates and duration as the straight one."""
    records = [
        spent(8 * i, Usage("teacher", 100 * i, 2.0, received=i), epoch=float(i), elapsed=30.0 * i) for i in range(1, 7)
    ]

    def supervise() -> tuple[Supervisor, list[Any]]:
        config = read({"use": USE})
        journal = Journal(None)
        entries: list[Any] = []
        journal.subscribers.append(entries.append)
        return Supervisor(config, load(config, []), plan=RunPlan(), journal=journal), entries

    straight, told = supervise()
    straight.begin()
    for record in records:
        straight.feed(record)
    straight.end()

    first, _ = supervise()
    first.begin()
    for record in records[:3]:
        first.feed(record)
    second, told_later = supervise()
    second.begin(records[:3], first.save(), step=24)
    for record in records[3:]:
        second.feed(record)
    second.end()

    [expected] = [entry.data for entry in told if entry.kind == "finding"]
    [resumed] = [entry.data for entry in told_later if entry.kind == "finding"]
    assert resumed == expected
    assert "Total Tokens Sent To Teacher: 2,100" in expected["message"]


def test_a_journal_that_is_replayed_has_the_same_ledgers(tmp_path: Path) -> None:
    """The usage of each record is read back from the journal, so that replay reports what the run reported."""
    config = read({"use": USE})
    journal = Journal(tmp_path / "journal.jsonl")
    journal.open()
    entries: list[Any] = []
    journal.subscribers.append(entries.append)
    journal.write("run", 0, resumed=False)
    supervisor = Supervisor(config, load(config, []), journal=journal)
    supervisor.begin()
    supervisor.feed(spent(10, Usage("teacher", 1200, 4.0, 3, received=34), elapsed=61.5))
    supervisor.end()
    journal.close()

    again = replay(tmp_path / "journal.jsonl", {"use": USE})

    [live] = [entry.data for entry in entries if entry.kind == "finding"]
    [replayed] = [entry.data for entry in again.of("finding")]
    assert replayed == live
    assert "Total Tokens Received From Teacher: 34" in live["message"]
