"""Sums over calls: overlapping time counts once, and nothing is lost or doubled between two takes."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep

import pytest

from steersman import Usage
from steersman.accounting import sketch
from steersman.teacher.tally import Tally, Told


def test_overlapping_calls_count_once():
    """Calls from 1 to 4, 2 to 3 and 3.5 to 6 s are 5 s; one from 8 to 9 s makes it 6."""
    tally, one = Tally(), Usage("teacher", samples=1)
    for began, ended in ((1, 4), (2, 3), (3.5, 6), (8, 9)):
        tally.tell(Told(began, opens=1))
        tally.tell(Told(ended, -1, one, ended - began))

    used = tally.take()
    assert (used.seconds, used.samples) == (6, 4)
    assert sketch.quantile(used.latencies, 1.0) == pytest.approx(3, rel=0.01)


def test_calls_that_are_told_out_of_order():
    """Threads tell in any order: calls from 1 to 2 and 8 to 9 s are 2 s, though the second begin was told first."""
    tally = Tally()
    for at, opens in ((1, 1), (8, 1), (2, -1), (9, -1)):
        tally.tell(Told(at, opens))
    tally.tell(Told(9, cost=Usage("teacher", samples=1)))

    assert tally.take().seconds == 2


def test_an_end_that_is_told_late_counts_no_time_twice():
    """An end at 1.5 s that is told when all until 2 s was added up leaves 3 s for calls from 1 to 4 s, not 3.5 s."""
    tally = Tally()
    for at, opens in ((1, 1), (2, 1)):
        tally.tell(Told(at, opens))
    assert tally.errors() == {}
    for at, opens in ((1.5, -1), (4, -1)):
        tally.tell(Told(at, opens, Usage("teacher", samples=1)))

    assert tally.take().seconds == 3


def test_the_time_of_threads_that_sleep(teacher):
    """8 threads with 5 calls of 20 ms each take at least 0.1 s together, and no more than the clock on the wall."""

    def ask(_: int) -> None:
        for _ in range(5):
            with teacher() as call:
                sleep(0.02)
                call.spent(sent=3, received=1)

    began = perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    wall = perf_counter() - began

    used = teacher.take()
    assert (used.samples, used.tokens, used.received) == (40, 120, 40)
    assert 0.1 <= used.seconds <= wall
    assert sum(used.latencies.values()) == 40


def test_a_call_that_is_open_belongs_to_the_next(clock, teacher):
    """A call open at a take gives nothing to it; its 2 s and its tokens come with the take after its end."""
    call = teacher()
    with call:
        clock.advance(1.5)
        assert teacher.take() == Usage("teacher")
        clock.advance(0.5)
        call.spent(sent=8, received=1)

    used = teacher.take()
    assert (used.samples, used.tokens, used.seconds) == (1, 8, 2.0)


def test_time_is_split_where_one_call_ended_and_another_did_not():
    """Of two calls that begin together one ends after 1 s: what is told until 1.5 s and until 3 s is 1.5 s each."""
    tally, one = Tally(), Usage("teacher", samples=1)
    began = perf_counter() - 3
    tally.tell(Told(began, opens=1))
    tally.tell(Told(began, opens=1))
    tally.tell(Told(began + 1, -1, one, 1.0))
    first = tally.take()
    tally.tell(Told(began + 4, -1, one, 4.0))
    second = tally.take()

    assert (first.samples, second.samples) == (1, 1)
    assert first.seconds + second.seconds == pytest.approx(4, abs=1e-6)
    assert 3 <= first.seconds < 4


def test_a_look_takes_nothing(teacher):
    """Looking twice shows the same 5 tokens, and the take has them."""
    with teacher() as call:
        call.spent(sent=5, received=2)

    assert teacher.pending() == teacher.pending()
    assert teacher.take().tokens == 5
    assert teacher.take() == Usage("teacher")


def test_a_saved_state_is_added():
    """5 tokens that a saved state held and 3 new ones are 8; fields it lacks are 0, those it has beside are left."""
    tally = Tally()
    tally.resume({"ledger": "teacher", "tokens": 5, "seconds": 2.5, "rates": {"10": 2}, "of_a_newer_version": 1})
    tally.tell(Told(1.0, cost=Usage("teacher", tokens=3)))

    used = tally.take()
    assert (used.tokens, used.received, used.seconds, used.rates) == (8, 0, 2.5, {"10": 2})


def test_a_long_queue_is_added_up_on_the_way():
    """1,000 calls that nobody asks about are held as sums: the queue never has more than 256 entries, nothing is lost."""
    tally, longest = Tally(), 0
    for _ in range(1000):
        tally.tell(Told(0.0, cost=Usage("teacher", tokens=1, samples=1)))
        longest = max(longest, len(tally._queue))

    assert longest <= 256
    assert tally.take().tokens == 1000


def test_a_call_that_ends_while_garbage_is_collected(teacher):
    """Calls that end inside a collection, in the midst of a take, neither wait for each other nor get lost."""

    class Dropped:
        def __init__(self) -> None:
            self.itself = self
            self.call = teacher().begin()

        def __del__(self) -> None:
            self.call.end()

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        taken = []
        for _ in range(300):
            Dropped()
            taken.append(teacher.take().samples)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()

    assert sum(taken) + teacher.take().samples == 300


def test_a_sentence_is_said_once():
    """The same sentence twice is one note, and none the next time."""
    tally = Tally()
    for _ in range(2):
        tally.tell(Told(0.0, sentences=["Something is unknown."]))

    assert (tally.notes(), tally.notes()) == (("Something is unknown.",), ())
