"""The meters of a run: added up over its ranks, by epochs, over a resume; one that fails stops nothing."""

from __future__ import annotations

from typing import Any

from steersman import Teacher, Usage
from steersman.integrations.meters import Meters, Stopwatch
from steersman.ranks import OneProcess


class Twin(OneProcess):
    """A rank beside which another one counts the same."""

    size = 2

    def gathered(self, value: Any) -> list[Any]:
        return [value, value]


def asked(teacher: Teacher, sent: int) -> None:
    with teacher() as call:
        call.spent(sent=sent, received=1)


def test_a_sum_over_ranks_is_out_of_date_after_the_next_step():
    """7 tokens on each of two ranks were added up for a save; a step later a checkpoint holds what is counted now."""
    meters, teacher = Meters(Twin(), print), Teacher()
    meters.add(teacher)
    asked(teacher, 7)
    meters.sum_pending()
    at_save = meters.pending()
    asked(teacher, 5)
    meters.step_ended()

    assert [usage["tokens"] for usage in at_save] == [14]
    assert [usage["tokens"] for usage in meters.pending()] == [12]


def test_what_an_epoch_took_keeps_its_number():
    """3 tokens in epoch 1, 4 in epoch 2, logged together: two usages; a checkpoint in between holds both apart."""
    meters, teacher = Meters(OneProcess(), print), Teacher()
    meters.add(teacher)
    meters.reach(1.0)
    asked(teacher, 3)
    meters.epoch_ended()
    meters.reach(1.25)
    asked(teacher, 4)
    resumed = Meters(OneProcess(), print)
    resumed.resume(meters.pending())

    assert [(usage.epoch, usage.tokens) for usage in meters.take()] == [(1, 3), (2, 4)]
    assert [(usage.epoch, usage.tokens) for usage in resumed.take()] == [(1, 3), (2, 4)]


def test_a_meter_that_fails_is_told_of_once_and_the_others_count():
    """One that raises counts nothing, at two logs, and is said once."""

    class Broken(Teacher):
        def take(self) -> Usage:
            raise OSError("gone")

    said: list[str] = []
    meters, teacher = Meters(OneProcess(), said.append), Teacher()
    for meter in (Broken(), teacher):
        meters.add(meter)
    taken = []
    for sent in (2, 3):
        asked(teacher, sent)
        taken += [usage.tokens for usage in meters.take()]

    assert taken == [2, 3]
    assert said == ["Broken could not be read (OSError: gone)"]


def test_a_stopwatch_tells_where_time_went():
    """Marked at 10, an evaluation told at 13 and a save at 14 took 3 and 1 seconds; they are told once."""
    times = iter([0.0, 10.0, 13.0, 14.0])
    watch = Stopwatch(lambda: next(times))
    watch.mark()
    watch.went_into("evaluation")
    watch.went_into("checkpointing")

    assert (watch.take(), watch.take()) == ({"evaluation": 3.0, "checkpointing": 1.0}, {})
