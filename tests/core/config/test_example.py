"""A config to paste: it loads as it is, and what it leaves out is there as a comment."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal

import pytest
from attrs import define, field, frozen, validators

from steersman import Secret
from steersman.config import read
from steersman.config.example import example_for
from steersman.config.structuring import structure
from steersman.config.yaml_text import loads


class Colour(Enum):
    RED = "red"


@frozen
class Rules:
    """Thresholds."""

    high: float = 1e-7
    low: int = 2


@frozen
class Needy:
    """A table that needs something."""

    name: str
    rate: float = field(validator=[validators.gt(0), validators.le(0.01)])


@define(eq=False)
class Many:
    """Has more options than are shown."""

    first: int = 1
    second: str = "on"
    third: float | None = None
    fourth: bool = False
    rules: Rules = field(factory=Rules)


@define(eq=False)
class Required:
    """Cannot do without."""

    whole: int = field(validator=validators.ge(5))
    share: float = field(validator=[validators.ge(0), validators.lt(1)])
    below: int = field(validator=validators.lt(-3))
    text: str
    choice: Literal["b", "a"]
    one: int = field(validator=validators.in_([4, 8]))
    flag: bool
    names: list[str]
    weights: Mapping[str, float]
    either: float | str
    colour: Colour
    table: Needy
    anything: Any
    optional: int = 7


@define(eq=False)
class RefusesNothing:
    """Refuses an empty table."""

    metrics: Mapping[str, float] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if not self.metrics:
            raise ValueError("names no metric")


@define(eq=False)
class Hidden:
    """Needs what a config must not hold."""

    token: Secret


@define(eq=False)
class Picky:
    """Refuses what no type tells."""

    word: str

    def __attrs_post_init__(self) -> None:
        if self.word != "please":
            raise ValueError("say please")


class Bare:
    """Takes nothing."""


def test_a_few_options_are_shown_and_the_rest_are_comments():
    """The first three options stand at their defaults, what is more is a comment; a table keeps its form."""
    assert example_for("many", Many).text == (
        "use:\n"
        "  - many:\n"
        "      first: 1\n"
        '      second: "on"\n'
        "      third: null\n"
        "      # fourth: false\n"
        "      # rules:\n"
        "      #   high: 1.0e-07\n"
        "      #   low: 2\n"
    ).replace('"on"', "'on'")


def test_what_is_a_comment_loads_too():
    """Without the comment signs the whole is the strategy at its defaults."""
    text = example_for("many", Many).text.replace("# ", "")
    [entry] = loads(text)["use"]
    problems: list[str] = []
    made = structure(entry["many"], Many, "$", problems)
    assert problems == []
    assert made is not None
    assert (made.first, made.second, made.third, made.fourth, made.rules) == (1, "on", None, False, Rules())


def test_required_options_have_values_that_keep_to_their_validators():
    """Each required option has a value of its type within its bounds, so that the config loads as it is."""
    example = example_for("required", Required)
    assert example.problems == ()
    [entry] = loads(example.text)["use"]
    made = structure(entry["required"], Required, "$", [])
    assert made is not None
    assert (made.optional, made.whole, made.one, made.choice, made.flag) == (7, 6, 4, "b", True)
    assert (made.names, made.weights, made.either, made.colour) == (["text"], {"eval_loss": 1.0}, 1.0, Colour.RED)
    assert made.below < -3
    assert 0 <= made.share < 1
    assert 0 < made.table.rate <= 0.01


def test_an_empty_table_that_is_refused_is_filled():
    """Where a strategy refuses its own default, an example of the type stands in its place."""
    example = example_for("refuses", RefusesNothing)
    assert example.text == "use:\n  - refuses:\n      metrics:\n        eval_loss: 1.0\n"
    assert example.problems == ()


def test_no_options():
    """A strategy without options is its name alone, attrs class or not."""
    assert example_for("bare", Bare).text == "use:\n  - bare\n"


def test_what_must_be_filled_in_is_said(monkeypatch):
    """A secret whose variable is not set, and what no type tells, are sentences beside the text."""
    monkeypatch.delenv("NAME", raising=False)
    hidden = example_for("hidden", Hidden)
    assert hidden.text == "use:\n  - hidden:\n      token:\n        env: NAME\n"
    assert hidden.problems == ("hidden.token: the environment variable NAME is not set",)
    assert example_for("picky", Picky).problems == ("picky: say please",)


@pytest.mark.parametrize("target", ["./hooks/a b.py:Many", "a: b", "- c", "#d", "yes"])
def test_odd_names_are_quoted(target):
    """Whatever a strategy is called, the text reads back as that name."""
    assert read(loads(example_for(target, Many).text), environment={}).use[0].target == target
