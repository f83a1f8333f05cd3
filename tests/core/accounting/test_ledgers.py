"""The three ledgers: what records add to them, epochs, costs, ranks."""

from __future__ import annotations

import pytest

from steersman import Record, Usage
from steersman.accounting import accounts
from steersman.accounting.ledgers import COUNTS, Ledgers, Prices, added, side_by_side


def heard(*usages: Usage, spent: dict[str, float] | None = None) -> Ledgers:
    ledgers = Ledgers()
    for step, usage in enumerate(usages, 1):
        ledgers.hear(Record(step, "train", usage=(usage,), spent=spent or {}))
    return ledgers


def test_a_ledger_that_nothing_was_counted_for_is_not_there() -> None:
    """Ledgers come in the order generation, backpropagation, teacher, whichever was heard of first."""
    ledgers = heard(Usage("teacher", 5), Usage("generation", 7))

    assert list(ledgers) == ["generation", "teacher"]
    assert "backpropagation" not in ledgers


def test_every_count_adds_up() -> None:
    """Two usages with 3 in every field make 6 of each, and the sketches of calls are merged."""
    one = Usage("teacher", **dict.fromkeys(COUNTS, 3), seconds=1.5, rates={"10": 2}, latencies={"5": 1})

    total = heard(one, one)["teacher"].total

    assert {getattr(total, name) for name in COUNTS} == {6}
    assert (total.seconds, total.rates, total.latencies) == (3.0, {"10": 4}, {"5": 2})


def test_the_newest_interval_is_told_beside_the_run() -> None:
    """100 tokens in 1 s, then 100 in 4 s: 40 tokens/s over the run and 25 over the newest interval."""
    told = accounts.of(
        heard(Usage("generation", 100, 1.0), Usage("generation", 100, 4.0)), Prices(), epochs=None, elapsed=9.0
    )["generation"]

    assert (told["tokens_per_second"], told["interval_tokens_per_second"]) == (40.0, 25.0)


def test_a_cost_counts_what_the_provider_had_cached_at_its_own_price() -> None:
    """1 M sent of which 0.4 M cached, 0.5 M received, at 2, 0.5 and 8 per million: 1.2 + 0.2 + 4 = 5.4."""
    usage = Usage("teacher", 1_000_000, received=500_000, cached_tokens=400_000)
    prices = Prices(teacher_sent=2.0, teacher_cached=0.5, teacher_received=8.0)

    assert heard(usage).cost(prices) == pytest.approx(5.4)
    assert heard(usage).cost(Prices(teacher_sent=2.0)) == pytest.approx(2.0)


def test_no_cost_is_told_where_nothing_has_a_price() -> None:
    """A cost of None is not a cost of 0."""
    told = accounts.of(heard(Usage("teacher", 10)), Prices(), epochs=1.0, elapsed=1.0)

    assert (told["cost"], told["teacher"]["cost"]) == (None, None)


def test_ranks_that_work_at_the_same_time_take_the_time_of_the_longest() -> None:
    """Two ranks with 10 tokens in 2 s and 30 in 3 s are 40 tokens in 3 s; one after the other they take 5 s."""
    first, second = Usage("backpropagation", 10, 2.0, 1), Usage("backpropagation", 30, 3.0, 2)

    assert side_by_side([[first], [second]]) == (Usage("backpropagation", 40, 3.0, 3),)
    assert added((first, second)) == Usage("backpropagation", 40, 5.0, 3)


def test_what_was_no_training_is_told_apart() -> None:
    """Seconds of evaluation and checkpointing add up by what they went into."""
    ledgers = heard(Usage("generation", 1), Usage("generation", 1), spent={"evaluation": 2.5})

    assert ledgers.spent == {"evaluation": 5.0}


def test_an_epoch_holds_what_came_since_the_last() -> None:
    """Epoch 2 has the 70 tokens of its own, not the 100 in all; what is saved in between goes on."""
    ledgers = heard(Usage("generation", 30, 1.0, 2))
    ledgers.close_epoch(1)
    resumed = Ledgers()
    resumed.restore(ledgers.save())
    resumed.hear(Record(9, "train", usage=(Usage("generation", 70, 2.0, 3),)))
    resumed.close_epoch(2)

    lines = [(e.epoch, e.tokens, e.seconds, e.samples) for e in resumed["generation"].epochs]
    assert lines == [(1, 30, 1.0, 2), (2, 70, 2.0, 3)]
