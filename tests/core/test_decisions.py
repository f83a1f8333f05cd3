import math

import attrs
import pytest
import torch

from steersman import Adjust, Finding, Rollback, Save, Score, Stop


def test_higher_is_negated():
    """Lower is better always, so what is better when higher is negated."""
    assert Score.higher(0.75, {"accuracy": 0.75}, "accurate") == Score(-0.75, {"accuracy": 0.75}, "accurate")


def test_a_rejection_is_the_worst_score():
    """A rejected checkpoint scores infinity and carries the reason."""
    score = Score.reject("it repeats itself")
    assert (score.value, score.rejected) == (math.inf, "it repeats itself")


@pytest.mark.parametrize("value", [None, "0.5", [0.5], torch.tensor(0.5)])
def test_a_score_is_a_number(value):
    """A score of anything but a number fails where it is made, in the strategy, and says what it got."""
    with pytest.raises(TypeError, match=f"expected a number, got {type(value).__name__}"):
        Score(value)
    with pytest.raises(TypeError):
        Score.higher(value)


def test_decisions_are_frozen():
    """What a hook returned cannot be changed after."""
    for value in (Score(1.0), Finding("a", "b"), Adjust("learning_rate", scale=0.5)):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            value.because = "another reason"


@pytest.mark.parametrize("options", [{}, {"scale": 0.5, "add": 0.1}])
def test_an_adjustment_scales_or_adds(options):
    """An Adjust takes either a factor or a summand."""
    with pytest.raises(ValueError, match="either scale= or add="):
        Adjust("learning_rate", **options)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_factor_is_positive_and_finite(scale):
    """A factor of zero, below zero, NaN or infinite is refused where it is made."""
    with pytest.raises(ValueError, match="scale must be a finite number above 0"):
        Adjust("learning_rate", scale=scale)


@pytest.mark.parametrize("add", [math.nan, -math.inf])
def test_a_summand_is_finite(add):
    """A summand that is NaN or infinite is refused where it is made."""
    with pytest.raises(ValueError, match="add must be finite"):
        Adjust("temperature", add=add)


@pytest.mark.parametrize(
    "options", [{"scale": "0.5"}, {"add": "0.5"}, {"scale": 2.0, "at_least": "0.5"}, {"scale": 2.0, "at_most": "0.5"}]
)
def test_figures_are_numbers(options):
    """Text where a figure belongs is refused where it is made."""
    with pytest.raises(TypeError, match=r"expected a number, got str '0\.5'"):
        Adjust("learning_rate", **options)


@pytest.mark.parametrize(
    ("options", "words"), [({"scale": 0.8}, "x0.8"), ({"add": 0.02}, "+0.02"), ({"add": -0.5}, "-0.5")]
)
def test_a_change_in_words(options, words):
    """A change reads as a person writes it."""
    assert Adjust("learning_rate", **options).change == words


def test_undoing_a_factor_divides():
    """Undoing x0.8 is x1.25, and the bounds of the first change do not hold it back."""
    undo = Adjust("learning_rate", scale=0.8, at_least=1e-7, because="loss-spike").undone()
    assert undo == Adjust("learning_rate", scale=1.25, because="undo: loss-spike")


def test_undoing_a_summand_takes_it_away():
    """Undoing +0.02 is -0.02."""
    assert Adjust("reward_threshold", add=0.02, at_most=0.3).undone().add == -0.02


@pytest.mark.parametrize("name", [None, 5, ["learning_rate"], ""])
def test_a_change_of_what_has_no_name(name):
    """An Adjust is of a hyperparameter by its name: anything else is refused where the strategy makes it."""
    with pytest.raises(TypeError, match="name of a hyperparameter"):
        Adjust(name, scale=0.5)


@pytest.mark.parametrize("kind", [Stop, Save, Rollback])
def test_a_reason_is_one_line_of_text(kind):
    """Line breaks and control characters are spaces; what is no text is refused."""
    assert kind("two\nlines \x1b[31m").because == "two lines [31m"
    with pytest.raises(TypeError, match="must be text"):
        kind(None)


@pytest.mark.parametrize(
    "made",
    [
        lambda: Score(1.0, terms=None),
        lambda: Score(1.0, terms=[1]),
        lambda: Score(1.0, terms={"a": "x"}),
        lambda: Finding("a", "b", severity="Critical"),
        lambda: Finding("a", "b", severity=None),
        lambda: Finding(None, "b"),
        lambda: Finding("a", {"x": 1}),
        lambda: Finding("a", "b", evidence=[1]),
        lambda: Adjust("learning_rate", scale=0.5, at_least=math.nan),
    ],
    ids=range(9),
)
def test_values_that_would_break_what_reads_them(made):
    """What no reporter could tell is refused where it is made: in the strategy, which is then named."""
    with pytest.raises((TypeError, ValueError)):
        made()
