"""Types in the words of a person who writes YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, TypeVar, Union

import pytest
from attrs import frozen

from steersman import Secret
from steersman.config.type_words import words_for

Steps = NewType("Steps", int)
T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@frozen
class Table:
    """Options of their own."""


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (bool, "true or false"),
        (int, "whole number"),
        (float, "number"),
        (str, "text"),
        (None, "null"),
        (Any, "anything"),
        (Secret, "secret, as {env: NAME}"),
        (Secret | None, "secret, as {env: NAME} or null"),
        (float | None, "number or null"),
        (Optional[int], "whole number or null"),  # noqa: UP045
        (Union[None, int, str], "whole number or text or null"),  # noqa: UP007
        (Literal["a", "b"], "a or b"),
        (Literal["a"] | int, "a or whole number"),
        (Colour, "red or blue"),
        (Table, "table"),
        (Mapping[str, float], "table of names to numbers"),
        (dict[str, float | Table], "table of names to numbers or tables"),
        (Mapping, "table of names to anything"),
        (list[str], "list of texts"),
        (Sequence[int], "list of whole numbers"),
        (tuple[float, ...], "list of numbers"),
        (tuple[int, str], "list of whole number, text"),
        (frozenset[Literal["a", "b"]], "list of a or b"),
        (list, "list of anything"),
        (Annotated[int, "steps"], "whole number"),
        (Steps, "whole number"),
        (Path, "Path"),
        (T, "~T"),
        ("Nowhere", "Nowhere"),
        (Annotated[list[Steps], []], "list of whole numbers"),
    ],
)
def test_words(type_, words):
    """Each type that an option may have is said in words, one inside another too."""
    assert words_for(type_) == words
