import math
from fractions import Fraction

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from steersman.records import is_other_evaluation, is_own, kind_of, number, record_from_logs


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["loss", "learning_rate"], "train"),
        (["eval_loss"], "eval"),
        (["eval_chat_loss", "loss"], "eval"),
        (["train_loss", "train_runtime"], "summary"),
        (["train_runtime", "eval_loss"], "summary"),
        ([], "train"),
    ],
)
def test_kind(names, kind):
    """The names in a log tell what it is; a final summary is one whatever else it holds."""
    assert kind_of(dict.fromkeys(names, 1.0)) == kind


@pytest.mark.parametrize(
    ("value", "as_number"),
    [
        (1, 1.0),
        (-0.5, -0.5),
        (Fraction(1, 2), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(3), 3.0),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        (math.inf, math.inf),
    ],
)
def test_number_of_plain_numbers(value, as_number):
    """Every plain number becomes a float, one too large for a float infinity."""
    assert number(value) == as_number


@pytest.mark.parametrize("value", [None, True, "1.0", [1.0], {"a": 1.0}, torch.tensor(1.0), torch.ones(2), 1j])
def test_number_of_anything_else(value):
    """What is no plain number is None, a tensor of one element included."""
    assert number(value) is None


def test_number_keeps_nan():
    """NaN is a number: it is news, and must reach the history."""
    assert math.isnan(number(math.nan))


def test_bad_metrics_are_dropped_by_name():
    """None, text, a list and a tensor never enter the metrics but are named; NaN and infinity enter."""
    logs = {"a": None, "b": "high", "c": [1.0], "d": torch.tensor(1.0), "e": math.nan, "f": math.inf, "loss": 2}
    record = record_from_logs(logs, step=7)
    assert record.dropped == ("a", "b", "c", "d")
    assert list(record.metrics) == ["e", "f", "loss"]
    assert math.isnan(record.metrics["e"])
    assert record.metrics["f"] == math.inf
    assert record.metrics["loss"] == 2.0


def test_step_and_epoch_are_no_metrics():
    """The epoch of a log becomes the record's; step and epoch are no metrics."""
    record = record_from_logs({"loss": 1.0, "epoch": 0.5, "step": 99}, step=10, elapsed=3.5)
    assert (record.step, record.epoch, record.elapsed) == (10, 0.5, 3.5)
    assert record.metrics == {"loss": 1.0}


def test_own_keys_are_dropped():
    """What Steersman wrote into a log is not read back, nor named as dropped."""
    logs = {"eval_loss": 1.0, "eval_steersman_score": 0.4, "steersman_score": 0.4, "steersman/score": 0.4}
    record = record_from_logs(logs, step=1)
    assert record.metrics == {"eval_loss": 1.0}
    assert record.dropped == ()
    assert is_own("eval_steersman_score")
    assert not is_own("score_of_steersman")


def test_names_are_mapped_onto_ours():
    """A user's metric name becomes ours, and decides what kind of record it is."""
    record = record_from_logs({"val/loss": 2.0, "acc": 0.5}, step=1, names={"val/loss": "eval_loss"})
    assert record.kind == "eval"
    assert record.metrics == {"eval_loss": 2.0, "acc": 0.5}


def test_an_evaluation_without_a_number_is_one():
    """An evaluation whose only value is text is still an evaluation."""
    record = record_from_logs({"eval_note": "none"}, step=1)
    assert (record.kind, record.metrics, record.dropped) == ("eval", {}, ("eval_note",))


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats(), max_size=2)


@given(st.dictionaries(st.text(max_size=8), anything, max_size=8))
def test_any_log_becomes_a_record(logs):
    """Whatever a trainer logs, a record holds floats only, and every name is a metric, dropped, or none of ours."""
    record = record_from_logs(logs, step=0)
    assert all(type(value) is float for value in record.metrics.values())
    silent = {name for name in logs if name in ("step", "epoch") or is_own(name)}
    assert set(record.metrics) | set(record.dropped) | silent == set(logs)
    assert not set(record.metrics) & set(record.dropped)


@pytest.mark.parametrize(
    ("names", "is_other"),
    [
        (["test_loss", "test_samples_per_second"], True),
        (["eval_loss", "eval_samples_per_second"], False),
        (["eval_code_loss", "eval_code_samples_per_second"], False),
        (["train_loss", "train_samples_per_second"], False),
        (["loss", "test_samples_per_second"], False),
        (["test_loss"], False),
    ],
)
def test_evaluations_under_another_prefix(names, is_other):
    """An evaluation under a prefix of its own, known by its speed, is no part of the training."""
    assert is_other_evaluation(dict.fromkeys(names, 1.0)) is is_other
