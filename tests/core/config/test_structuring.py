from collections.abc import Mapping, Sequence
from typing import Literal

import attrs
import pytest
from attrs import define, field, frozen

from steersman import state
from steersman.config.structuring import options_of, structure, structure_value


@frozen
class Weight:
    weight: float = 1.0
    direction: Literal["lower", "higher"] = "lower"


def odd(instance, attribute, value):
    if value % 2 == 0:
        raise ValueError(f"must be odd, got {value}")


@define
class Options:
    window: int = field(default=3, validator=odd)
    rate: float = 0.5
    name: str = "x"
    active: bool = True
    preset: Literal["guarded", "seed"] = "guarded"
    switch: Literal["auto", "on", "off"] = "auto"
    limit: float | None = None
    every: Literal["auto"] | int = "auto"
    names: list[str] = field(factory=list)
    weights: Mapping[str, float | Weight] = field(factory=dict)
    nested: Weight = field(factory=Weight)
    seen: int = state(0)


@define
class Required:
    path: str
    _hidden: int = 1


def made(**raw):
    problems = []
    options = structure(raw, Options, "$.use[0].it", problems)
    assert problems == []
    return options


def problems_of(cls=Options, **raw):
    problems = []
    assert structure(raw, cls, "$", problems) is None
    return problems


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("window", 5.0, 5),
        ("rate", 1, 1.0),
        ("rate", "1e-4", 1e-4),
        ("rate", "0.25", 0.25),
        ("active", False, False),
        ("switch", True, "on"),
        ("switch", False, "off"),
        ("switch", "on", "on"),
        ("limit", None, None),
        ("limit", "3e-1", 0.3),
        ("every", "auto", "auto"),
        ("every", 50, 50),
        ("names", ["a"], ["a"]),
        ("weights", {"a": 0.5, "b": {"weight": 2, "direction": "higher"}}, {"a": 0.5, "b": Weight(2.0, "higher")}),
        ("nested", {"weight": 3}, Weight(3.0)),
    ],
)
def test_what_is_accepted(name, raw, value):
    """Each option takes what it is declared as, numeric text for a float, and a truth value for on and off."""
    result = getattr(made(**{name: raw}), name)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"window": 4}, "$.window: must be odd, got 4"),
        ({"window": "5"}, "$.window: expected a whole number, got '5'"),
        ({"window": True}, "$.window: expected a whole number, got True"),
        ({"window": 2.5}, "$.window: expected a whole number, got 2.5"),
        ({"rate": "fast"}, "$.rate: expected a number, got 'fast'"),
        ({"rate": True}, "$.rate: expected a number, got True"),
        ({"rate": None}, "$.rate: expected a number, got None"),
        ({"rate": [1.0]}, "$.rate: expected a number, got [1.0]"),
        ({"name": 3}, "$.name: expected text, got 3"),
        ({"active": "no"}, "$.active: expected true or false, got 'no'"),
        ({"active": 1}, "$.active: expected true or false, got 1"),
        ({"preset": "sed"}, "$.preset: expected one of 'guarded', 'seed', got 'sed', did you mean 'seed'?"),
        ({"preset": True}, "$.preset: expected one of 'guarded', 'seed', got True"),
        ({"limit": "low"}, "$.limit: expected a number, got 'low'"),
        ({"every": "daily"}, "$.every: expected one of 'auto' or expected a whole number, got 'daily'"),
        ({"weights": 3}, "$.weights: expected a table of names, got 3"),
        ({"weights": {"a": "heavy"}}, "$.weights.a: expected a number or expected a table of options, got 'heavy'"),
        ({"weights": {"a": {"wieght": 1}}}, "$.weights.a: unknown option 'wieght', did you mean 'weight'?"),
        ({"weights": {2: 0.5}}, "$.weights: the name 2 is not text"),
        ({"nested": [1]}, "$.nested: expected a table of options, got [1]"),
        ({"nested": {"direction": "up"}}, "$.nested.direction: expected one of 'lower', 'higher', got 'up'"),
        ({"windw": 3}, "$: unknown option 'windw', did you mean 'window'?"),
        ({"seen": 3}, "$: unknown option 'seen'"),
    ],
)
def test_what_is_refused(raw, expected):
    """Each wrong value is one sentence with its path, what was expected and what was given."""
    assert problems_of(**raw) == [expected]


def test_every_fault_at_once():
    """Faults at every depth come together, each with its own path."""
    problems = problems_of(rate="x", nested={"weight": "y", "wat": 1}, weights={"a": {"weight": "z"}}, nam="n")
    assert sorted(problem.split(":")[0] for problem in problems) == [
        "$", "$.nested", "$.nested.weight", "$.rate", "$.weights.a.weight",
    ]  # fmt: skip


def test_a_required_option():
    """An option without a default is required, and a wrong one beside it is told too."""
    assert problems_of(Required) == ["$.path: is required"]
    assert len(problems_of(Required, hidden="x")) == 2


def test_an_option_goes_by_its_public_name():
    """A field with a leading underscore is given without it, as attrs has it."""
    problems = []
    assert structure({"path": "x", "hidden": 3}, Required, "$", problems) == Required("x", 3)
    assert problems == []


def test_no_table():
    """Options that are no table are one sentence."""
    problems = []
    assert structure([1], Options, "$.use[0].it", problems) is None
    assert problems == ["$.use[0].it: expected a table of options, got [1]"]


def test_a_long_value_is_shortened():
    """A wrong value is quoted by its first 57 characters, not whole."""
    assert problems_of(rate="x" * 500) == [f"$.rate: expected a number, got '{'x' * 56}..."]


def test_options_of_a_class():
    """Options are the init fields by the name a config gives them; state is none."""
    assert list(options_of(Required)) == ["path", "hidden"]
    assert "seen" not in options_of(Options)


def test_one_value():
    """A single value is structured by the same rules."""
    assert structure_value([1, "2.5"], list[float]) == [1.0, 2.5]
    with pytest.raises(Exception, match="expected a number") as caught:
        structure_value("x", float)
    assert isinstance(caught.value, ValueError)


@define
class Range:
    low: float = 0.0
    high: float = 1.0

    def __attrs_post_init__(self):
        if self.low > self.high:
            raise ValueError("its low end is above its high end")


@define
class Nested:
    ranges: Mapping[str, Range] = field(factory=dict)
    path: Required = field(factory=lambda: Required("x"))


def test_values_that_do_not_go_together():
    """What a class refuses when it is made is told with the path of its table."""
    assert problems_of(Range, low=2) == ["$: its low end is above its high end"]
    assert problems_of(Nested, ranges={"a": {"low": 2}}) == ["$.ranges.a: its low end is above its high end"]


def test_a_required_option_in_a_table():
    """A table inside the options says what is missing in it, beside what is unknown there."""
    assert sorted(problems_of(Nested, path={"pth": "x"})) == [
        "$.path.path: is required",
        "$.path: unknown option 'pth', did you mean 'path'?",
    ]


def test_unknown_options_that_are_no_text():
    """A name that is no text is as unknown as any other."""
    problems = []
    assert structure({3: 1, "zzz": 2}, Required, "$", problems) is None
    assert sorted(problems) == ["$.path: is required", "$: unknown option 3; unknown option 'zzz'"]


def test_two_classes_of_one_name():
    """A class that is made anew, as an in-house file is at each load, is structured by its own options."""

    def of(type_):
        @define
        class Fresh:
            value: type_

        return Fresh

    texts, numbers = of(str), of(float)
    assert structure({"value": "3"}, texts, "$", []) == texts("3")
    assert structure({"value": "3"}, numbers, "$", []) == numbers(3.0)


@pytest.mark.parametrize("given", ["abc", {"a": 1}, 3, None])
@pytest.mark.parametrize("type_", [list[str], tuple[str, ...], set[str], Sequence[str]])
def test_a_list_is_a_list(given, type_):
    """The letters of a text and the names of a table are no list."""
    cls = attrs.make_class("Named", {"names": attrs.field(type=type_)})
    problems = []
    assert structure({"names": given}, cls, "$", problems) is None
    assert problems == [f"$.names: expected a list, got {given!r}"]
    assert structure({"names": ["a", "b"]}, cls, "$", []) == cls(structure_value(["a", "b"], type_))
