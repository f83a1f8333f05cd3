"""What is said of a field below it, read from the source of its class."""

from __future__ import annotations

import linecache
from typing import Any

from attrs import define, field

from steersman.catalogue.attribute_docs import meanings_of


@define
class Plain:
    """Its own docstring is said of no field."""

    needed: int
    """A field without a default."""
    rate: float = 0.1
    """What the rate is,
    over two lines."""
    silent: int = 0
    helped: int = field(default=0, metadata={"help": "What its metadata says."})
    both: int = field(default=0, metadata={"help": "Not this."})
    """The text below wins."""
    counted: int = 1
    "Quotes of one kind are text too."

    def method(self) -> None:
        """A docstring of a method."""

    """Text below a method is said of no field."""


@define
class Derived(Plain):
    rate: float = 0.2
    """What it is in the subclass."""
    added: str = ""
    """What is new."""


def test_text_below_a_field_is_its_meaning():
    """The text below a field is its meaning, on one line; else what its metadata says; else there is none."""
    assert meanings_of(Plain) == {
        "rate": "What the rate is, over two lines.",
        "needed": "A field without a default.",
        "helped": "What its metadata says.",
        "both": "The text below wins.",
        "counted": "Quotes of one kind are text too.",
    }


def test_a_subclass_says_it_anew():
    """A subclass keeps what its base says of a field, but for what it says itself."""
    meanings = meanings_of(Derived)
    assert meanings["rate"] == "What it is in the subclass."
    assert meanings["added"] == "What is new."
    assert meanings["helped"] == "What its metadata says."


def test_a_class_within_a_function():
    """A class is read wherever it is written, indented or not."""

    @define
    class Inner:
        depth: int = 0
        """How deep it is."""

    assert meanings_of(Inner) == {"depth": "How deep it is."}


def test_without_a_source_the_metadata_remains():
    """A class whose source cannot be read has what its metadata says, and a class that is none of attrs has nothing."""
    made: dict[str, Any] = {"__name__": "nowhere_at_all"}
    code = "from attrs import define, field\n@define\nclass Made:\n    x: int = field(default=0, metadata={'help': 'Told.'})\n    'lost'"
    exec(compile(code, "<nowhere>", "exec"), made)
    linecache.clearcache()
    assert meanings_of(made["Made"]) == {"x": "Told."}
    assert meanings_of(dict) == {}
