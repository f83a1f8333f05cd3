import math
from array import array

import pytest

from steersman import Record
from steersman.tables import Table


def table(steps, epochs=None, **columns):
    made = {name: array("d", values) for name, values in columns.items()}
    return Table("train", array("q", steps), made, None if epochs is None else array("d", epochs))


def test_a_row_is_a_record():
    """A row has its step, its epoch and a metric of each column."""
    told = table([5, 9], [0.5, 0.9], loss=[1.0, math.inf], kl=[0.1, 0.2])
    assert told.record(1) == Record(9, "train", {"loss": math.inf, "kl": 0.2}, 0.9)
    assert told.nonfinite == {"loss"}


def test_covers():
    """A row covers the steps since the one before, and at least one where steps repeat or go back."""
    assert list(table([5, 9, 9, 3, 13]).covers) == [1, 4, 1, 1, 10]
    assert list(table([5, 9, 10]).covers) == [1, 4, 1]


@pytest.mark.parametrize("steps", [[1, 2, 5, 7], [1, 5, 2, 7]])
def test_the_first_row_at_a_step(steps):
    """The first row whose step is reached is found whether steps go back or not; past the last there is none."""
    told = table(steps)
    assert [told.first_at_step(step, 0, 4) for step in (0, 5, 6, 8)] == [0, steps.index(5), 3, 4]
    assert told.first_at_step(1, 3, 4) == 3


@pytest.mark.parametrize(("epochs", "first"), [([0.5, 1.0, 1.5, 2.0], 1), ([0.5, math.nan, 1.0 - 1e-10, 0.2], 2)])
def test_the_first_row_of_an_epoch(epochs, first):
    """An epoch is reached by a fraction less than a rounding error short of it; NaN reaches none."""
    told = table(range(4), epochs)
    assert told.first_at_epoch(1, 0, 4) == first
    assert told.first_at_epoch(3, 0, 4) == 4
    assert table(range(4)).first_at_epoch(1, 0, 4) == 4


def test_the_first_row_that_turns():
    """The first row that falls sick, or that is well again, is found; a column without NaN is well throughout."""
    told = table(range(4), loss=[1.0, math.nan, math.nan, 2.0], kl=[0.0] * 4)
    assert told.first_turn("loss", 0, 4, is_sick=False) == 1
    assert told.first_turn("loss", 1, 4, is_sick=True) == 3
    assert told.first_turn("loss", 1, 3, is_sick=True) == 3
    assert (told.first_turn("kl", 0, 4, is_sick=False), told.first_turn("kl", 2, 4, is_sick=True)) == (4, 2)
