"""A teacher as a run sees it: a meter that is taken, looked at, resumed and released."""

from __future__ import annotations

import copy
import pickle

from attrs import asdict

import steersman
from steersman import Usage
from steersman.integrations.meters import Meter, Meters
from steersman.integrations.policy import Policy
from steersman.ranks import OneProcess


def ask(teacher: steersman.Teacher, sent: int) -> None:
    with teacher() as call:
        call.spent(sent=sent, received=1, cached=0)


def test_a_teacher_is_a_meter_of_the_ledger_teacher():
    """Made before a run, it is handed to one later, and what it had counted by then is taken with the first log."""
    teacher = steersman.Teacher()
    ask(teacher, 5)
    meter: Meter = teacher
    meters = Meters(OneProcess(), print)
    meters.add(meter)
    meters.step_ended()
    ask(teacher, 7)

    [used] = meters.take()
    assert (used.ledger, used.tokens, used.received, used.samples) == ("teacher", 12, 2, 2)
    assert meters.take() == ()


def test_what_was_counted_and_not_logged_survives_a_checkpoint():
    """5 tokens that were pending when a checkpoint was saved, and 7 of the resumed run, are 12: none lost or doubled."""
    first = steersman.Teacher()
    ask(first, 5)
    saved = asdict(first.pending())
    second = steersman.Teacher()
    second.resume(saved)
    ask(second, 7)

    used = second.take()
    assert (used.tokens, used.samples, sum(used.latencies.values())) == (12, 2, 2)
    assert used.seconds >= saved["seconds"]


def test_a_copy_counts_what_the_original_hears():
    """A teacher inside the policy of a callback that is copied is the same one: 3 and 4 tokens are 7, and none for the original."""
    teacher = steersman.Teacher()
    ask(teacher, 3)
    policy = copy.deepcopy(Policy({"use": []}, teacher=teacher))
    ask(teacher, 4)

    assert policy.teacher.take().tokens == 7
    assert teacher.take() == Usage("teacher")


def test_in_another_process_it_begins_at_nothing():
    """What was counted before processes were started is counted by the first alone, not once for each."""
    teacher = steersman.Teacher()
    ask(teacher, 3)
    sent = pickle.loads(pickle.dumps(teacher))
    ask(sent, 4)

    assert (teacher.take().tokens, sent.take().tokens) == (3, 4)


def test_released_it_goes_on():
    """A run that is over lets go of its teacher, which counts on for the next one."""
    teacher = steersman.Teacher()
    teacher.step_ended()
    teacher.release()
    ask(teacher, 3)

    assert (teacher.take().tokens, teacher.take()) == (3, Usage("teacher"))
