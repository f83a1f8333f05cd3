"""When a check is made out of turn, and what a rollback leaves out of the log."""

from __future__ import annotations

import math

import pytest

from steersman import Record
from steersman.alarms import Alarms

NAN = math.nan


def rings(*records):
    """Return at which records it rang: each is of the next step, and what rang was looked at before it."""
    alarms, told = Alarms(), []
    for step, metrics in enumerate(records, 1):
        alarms.hear(Record(step, "train", metrics))
        told.append(alarms.is_ringing)
        alarms.silence()
    return told


def test_it_rings_once_for_an_illness():
    """NaN after NaN is no news; after a finite value it is again."""
    assert rings({"loss": 1.0}, {"loss": NAN}, {"loss": NAN}, {"loss": 1.0}, {"loss": NAN}) == [
        False, True, False, False, True,
    ]  # fmt: skip


def test_each_metric_rings_for_itself():
    """A gradient that falls sick while the loss is sick already rings too; one that is not logged is as it was."""
    assert rings({"loss": NAN}, {"grad_norm": math.inf}, {"lr": 1.0}, {"loss": NAN}) == [True, True, False, False]


def test_after_a_rollback_everything_is_well():
    """The same illness at the step after is a new one."""
    alarms = Alarms()
    alarms.hear(Record(5, "train", {"loss": NAN}))
    alarms.silence()
    alarms.rolled_back(5)
    alarms.hear(Record(6, "train", {"loss": NAN}))

    assert alarms.is_ringing


@pytest.mark.parametrize(("last_log", "left_out"), [(0, True), (4, True), (5, False)])
@pytest.mark.parametrize("loss", [NAN, 1.0])
def test_a_loss_that_covers_undone_steps_is_left_out(last_log, left_out, loss):
    """A mean over steps since before the rollback of step 5 tells nothing; one over those after it is heard."""
    alarms = Alarms()
    alarms.rolled_back(5)
    record = alarms.without_undone(Record(10, "train", {"loss": loss, "grad_norm": 1.0}), last_log)

    assert ("loss" not in record.metrics) == left_out
    assert record.metrics["grad_norm"] == 1.0
    assert "loss" in alarms.without_undone(Record(15, "train", {"loss": loss}), 10).metrics
