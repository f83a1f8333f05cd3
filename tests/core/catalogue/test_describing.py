"""What is told of a strategy from its class: every option with its meaning, its hooks, what it declares."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal

import pytest
from attrs import Factory, define, field, frozen, validators

from steersman import hookimpl, state
from steersman.catalogue.describing import Option, describe


@frozen
class Deep:
    """A table within a table."""

    share: float = field(default=0.25, validator=[validators.ge(0), validators.le(1)])
    """How much of it."""


@frozen
class Rules:
    """Thresholds."""

    high: float = 0.5
    """What is high."""
    deep: Deep = field(factory=Deep)


@define(eq=False)
class Base:
    """What the base does.

    And how.
    """

    window: int
    """Evaluations that count."""
    preset: Literal["mild", "harsh"] = "mild"
    """Which rules."""

    @hookimpl
    def on_log(self, run, log): ...

    @hookimpl
    def on_train_begin(self, run): ...


@define(eq=False)
class Whole(Base):
    rules: Rules = field(factory=Rules)
    weights: Mapping[str, float] = field(factory=lambda: {"loss": 1.0})
    limit: float | None = field(default=None, metadata={"help": "Where it ends."})
    double: int = Factory(lambda self: 2 * self.window, takes_self=True)
    _hidden: int = 3
    seen: list[int] = state([])
    """State is no option."""

    effects: ClassVar[bool] = True
    needs_snapshots: ClassVar[bool] = True

    @hookimpl
    def diagnose(self, run, check): ...


@frozen
class Round:
    """A table of its own kind."""

    depth: int = 0
    below: Round = None


def test_every_option_with_its_meaning():
    """Options come in order, of the base first, those of tables by their path; state is none of them."""
    options = {option.name: option for option in describe(Whole).options}
    assert list(options) == [
        "window",
        "preset",
        "rules.high",
        "rules.deep.share",
        "weights",
        "limit",
        "double",
        "hidden",
    ]
    assert options["window"] == Option("window", "whole number", None, True, "Evaluations that count.")
    assert options["preset"] == Option("preset", "mild or harsh", "mild", False, "Which rules.")
    assert options["rules.high"] == Option("rules.high", "number", 0.5, False, "What is high.")
    share = Option("rules.deep.share", "number, at least 0 and at most 1", 0.25, False, "How much of it.")
    assert options["rules.deep.share"] == share
    assert options["weights"] == Option("weights", "table of names to numbers", {"loss": 1.0}, False, "")
    assert options["limit"] == Option("limit", "number or null", None, False, "Where it ends.")
    assert (options["double"].required, options["double"].default) == (False, None)
    assert options["hidden"].default == 3


def test_what_a_strategy_declares():
    """Hooks are in the order of a run, inherited ones too; effects and snapshots are as declared; the file is known."""
    described = describe(Whole)
    assert described.docstring == "What the base does.\n\nAnd how."
    assert described.hooks == ("on_train_begin", "on_log", "diagnose")
    assert (described.effects, described.needs_snapshots) == (True, True)
    assert described.file == __file__
    assert (describe(Base).effects, describe(Base).needs_snapshots) == (False, False)


def test_a_class_that_is_none_of_attrs():
    """It has no options, and no docstring where nobody wrote one."""

    class Plain:
        @hookimpl
        def on_eval(self, run, evaluation): ...

    described = describe(Plain)
    assert (described.docstring, described.options, described.hooks) == ("", (), ("on_eval",))


def test_a_class_without_a_source():
    """A class that was made by code has no file and no meanings, and is described all the same."""
    made: dict[str, Any] = {"__name__": "nowhere_at_all"}
    exec("from attrs import define\n@define\nclass Made:\n    x: int = 1\n    'lost'", made)
    described = describe(made["Made"])
    assert described.file is None
    assert described.options == (Option("x", "whole number", 1, False, ""),)


def test_an_annotation_that_cannot_be_resolved():
    """Where one annotation names what is not there, each is told as it is written."""

    @define(eq=False)
    class Odd:
        thing: Nowhere = 1  # noqa: F821
        count: int = 2

    assert [option.type for option in describe(Odd).options] == ["Nowhere", "int"]


def test_a_default_that_cannot_be_made():
    """A default that fails when it is made is told as null, and ends nothing."""

    @define(eq=False)
    class Failing:
        path: str = field(factory=lambda: {}["gone"])

    assert describe(Failing).options[0].default is None


def test_a_table_that_holds_itself():
    """Options that come round to their own class are told once, as a table."""
    assert [(option.name, option.type) for option in describe(Round).options] == [
        ("depth", "whole number"),
        ("below", "table"),
    ]


@pytest.mark.parametrize("name", ["multi-metric", "eval-loss", "score", "trend-health", "recovery", "token-accounting"])
def test_every_option_that_ships_says_what_it_means(name):
    """Each option of each shipped strategy has a meaning of one line that ends like a sentence, and a docstring."""
    [point] = [point for point in entry_points(group="steersman.strategies") if point.name == name]
    described = describe(point.load())
    assert described.docstring
    for option in described.options:
        assert option.meaning.endswith("."), option.name
        assert "\n" not in option.meaning
