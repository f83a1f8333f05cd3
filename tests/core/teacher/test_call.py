"""A call told by hand: what it took, what it came to, and what happens to an error."""

from __future__ import annotations

import asyncio

import pytest

from steersman import Usage
from steersman.accounting import sketch
from steersman.teacher import Teacher

ANSWER = {"usage": {"prompt_tokens": 40, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 30}}}

ONE = {"samples": 1, "tokens": 40, "received": 10, "cached_tokens": 30}
"""What one such answer counts."""


def counts(used: Usage) -> dict[str, int]:
    """The counts that are not 0."""
    names = ("samples", "tokens", "received", "cached_tokens", "retries", "errors", "cache_hits", "unknown")
    return {name: getattr(used, name) for name in names if getattr(used, name)}


def test_a_call_that_is_answered(teacher, clock):
    """40 tokens sent and 10 received in 0.5 s are 80 and 20 tokens/s, within the 1 % of a sketch."""
    with teacher() as call:
        clock.advance(0.5)
        call.used(ANSWER)

    used = teacher.take()
    assert counts(used) == ONE
    assert used.seconds == 0.5
    assert sketch.quantile(used.rates, 0.99) == pytest.approx(80, rel=0.01)
    assert sketch.quantile(used.received_rates, 0.99) == pytest.approx(20, rel=0.01)
    assert sketch.quantile(used.latencies, 0.99) == pytest.approx(0.5, rel=0.01)


def test_an_async_call(teacher, clock):
    """`async with` is the same call: 0.25 s and 40 tokens."""

    async def ask():
        async with teacher() as call:
            clock.advance(0.25)
            call.used(ANSWER)

    asyncio.run(ask())

    used = teacher.take()
    assert (counts(used)["tokens"], used.seconds) == (40, 0.25)


def test_numbers_by_hand(teacher):
    """Numbers add up with what responses told, and retries are counted: 40 + 5 sent, 10 + 1 received, 3 retries."""
    with teacher() as call:
        call.used(ANSWER)
        call.spent(sent=5, received=1)
        call.retried()
        call.retried(2)

    assert counts(teacher.take()) == {"samples": 1, "tokens": 45, "received": 11, "cached_tokens": 30, "retries": 3}


def test_retries_below_none(teacher):
    """Fewer than no retries are an error, within the block and after it, and none are counted; 0 is no error."""
    with teacher() as call:
        call.used(ANSWER)
        call.retried(0)
        with pytest.raises(ValueError, match="cannot be made -3 times more"):
            call.retried(-3)
    with pytest.raises(ValueError, match="cannot be made -1 times more"):
        call.retried(-1)

    assert counts(teacher.take()) == ONE


def test_more_cached_than_sent_is_said_once(teacher):
    """Two answers with 50 cached of 40 sent are two unknown ones, their 80 sent and 20 received count, 0 cached."""
    for _ in range(2):
        with teacher() as call:
            call.spent(sent=40, received=10, cached=50)

    assert counts(teacher.take()) == {"samples": 2, "tokens": 80, "received": 20, "unknown": 2}
    assert len(teacher.notes()) == 1


def test_an_error_is_the_users_own(teacher):
    """The exception that leaves is the very object that was raised; it counts as an error of its kind, no answer."""
    error = ConnectionResetError("Bearer sk-secret")
    with pytest.raises(ConnectionResetError) as raised, teacher():
        raise error

    assert raised.value is error
    assert counts(teacher.take()) == {"errors": 1}
    assert teacher.errors == {"ConnectionResetError": 1}
    assert teacher.notes() == (
        "A call to the teacher failed: ConnectionResetError. The tokens of calls that fail are not known.",
    )


def test_a_cancelled_call_is_an_error(teacher):
    """A call that is cancelled was not answered."""

    async def ask():
        async with teacher():
            await asyncio.sleep(60)

    async def give_up():
        await asyncio.wait_for(ask(), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert teacher.errors == {"CancelledError": 1}


def test_the_kind_of_an_error_has_its_status(teacher):
    """An error with an HTTP status is told with it; one whose status cannot be looked at without."""

    class Refused(Exception):
        status_code = 418

    class Hostile(Exception):
        @property
        def status_code(self):
            raise RuntimeError

    for kind in (Refused, Hostile):
        with pytest.raises(kind), teacher():
            raise kind
    assert teacher.errors == {"Refused (status 418)": 1, "Hostile": 1}


def test_a_cache_hit(teacher, clock):
    """An answer out of one's own cache is no call: no sample, no tokens, no latency."""
    with teacher() as call:
        clock.advance(0.001)
        call.cache_hit()

    used = teacher.take()
    assert counts(used) == {"cache_hits": 1}
    assert (used.rates, used.latencies) == ({}, {})


def test_a_call_that_tells_nothing_is_unknown(teacher):
    """Three answers without a usage are three unknown ones, said once."""
    for response in (None, {"choices": []}):
        with teacher() as call:
            call.used(response)
    with teacher():
        pass

    assert counts(teacher.take()) == {"samples": 3, "unknown": 3}
    [note] = teacher.notes()
    assert note.startswith("An answer of the teacher told no usage")
    assert teacher.notes() == ()


def test_what_is_known_of_a_malformed_usage_counts(teacher):
    """A NaN for what was sent leaves the 10 received; the answer is unknown, and the name of the number is said."""
    with teacher() as call:
        call.used({"usage": {"prompt_tokens": float("nan"), "completion_tokens": 10}})

    assert counts(teacher.take()) == {"samples": 1, "received": 10, "unknown": 1}
    assert teacher.notes() == (
        "The usage that the teacher told has no number of tokens sent: such answers are counted as unknown.",
    )


def test_tokens_told_late_are_not_lost(teacher):
    """Tokens told after the block are counted, and so is the answer that was unknown when it ended; retries too."""
    with teacher() as call:
        pass
    call.used(ANSWER)
    call.retried()

    assert counts(teacher.take()) == {**ONE, "unknown": 1, "retries": 1}
    assert any("outside of its block" in note for note in teacher.notes())


def test_a_call_within_a_call_counts_once(teacher):
    """Of two nested calls that both tell the same answer, the inner is counted; an error of both is one error."""
    with teacher() as outer:
        with teacher() as inner:
            inner.used(ANSWER)
        outer.used(ANSWER)
    with pytest.raises(OSError), teacher(), teacher():
        raise OSError

    assert counts(teacher.take()) == {**ONE, "errors": 1}


def test_an_error_after_a_call_within_a_call(teacher):
    """What fails in the outer block after the inner call was answered is an error beside the answer."""
    with pytest.raises(ValueError), teacher():
        with teacher() as inner:
            inner.used(ANSWER)
        raise ValueError("not a score")

    assert counts(teacher.take()) == {**ONE, "errors": 1}


def test_a_call_within_that_of_another_teacher(teacher):
    """Two teachers do not know of each other: each counts its own call of 40 tokens, and nothing is said."""
    other = Teacher()
    with teacher() as call:
        with other() as inner:
            inner.used(ANSWER)
        call.used(ANSWER)

    assert counts(teacher.take()) == counts(other.take()) == ONE
    assert teacher.notes() == ()


def test_a_call_goes_on_after_one_of_another_teacher(teacher):
    """After a call of another teacher, a call within a call of the first is still known to be one: 40 tokens, not 80."""
    with teacher() as call:
        with Teacher()():
            pass
        with teacher() as inner:
            inner.used(ANSWER)
        call.used(ANSWER)

    assert counts(teacher.take()) == ONE


def test_a_call_that_begins_anew(teacher):
    """One call object in a loop of retries is a call each time: an error, then an answer of 40 tokens."""
    call = teacher()
    with pytest.raises(OSError), call:
        call.retried()
        raise OSError
    with call:
        call.used(ANSWER)

    assert counts(teacher.take()) == {**ONE, "errors": 1, "retries": 1}
