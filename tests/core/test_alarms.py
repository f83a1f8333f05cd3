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
    alarms.rolled_back(5, spoils_next=False)
    alarms.hear(Record(6, "train", {"loss": NAN}))

    assert alarms.is_ringing


@pytest.mark.parametrize(
    ("last_log", "late", "left_out"),
    [(0, False, True), (4, False, True), (5, False, False), (5, True, True), (6, True, False)],
)
@pytest.mark.parametrize("loss", [NAN, 1.0])
def test_a_loss_that_covers_undone_steps_is_left_out(last_log, late, left_out, loss):
    """A mean over steps up to the rollback of step 5 tells nothing, nor of step 6 where its forward was made before."""
    alarms = Alarms()
    alarms.rolled_back(5, spoils_next=late)
    record = alarms.without_undone(Record(10, "train", {"loss": loss, "grad_norm": 1.0}), last_log)

    assert ("loss" not in record.metrics) == left_out
    assert record.metrics["grad_norm"] == 1.0
    assert "loss" in alarms.without_undone(Record(15, "train", {"loss": loss}), 10).metrics


@pytest.mark.parametrize(("late", "kept"), [(False, {"loss", "grad_norm"}), (True, {"lr"})])
def test_what_is_nan_of_a_step_that_was_not_made(late, kept):
    """The gradient of a step that was begun with undone weights is no news; that of a step begun after it is."""
    alarms = Alarms()
    alarms.rolled_back(5, spoils_next=late)
    record = alarms.without_undone(Record(6, "train", {"loss": NAN, "grad_norm": NAN, "lr": 1.0}), 5)

    assert record.metrics.keys() >= kept
    assert late != ("grad_norm" in record.metrics)
