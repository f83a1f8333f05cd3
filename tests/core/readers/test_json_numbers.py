import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman.readers.json_numbers import loads, unmarked, unmarked_values

numbers = st.floats() | st.integers(-(2**63), 2**64 - 1) | st.none() | st.booleans()
texts = st.text(max_size=5) | st.sampled_from(["NaN", ": NaN,", "Infinity", "-Infinity ", "9223372036854775301", "é"])
anything = st.recursive(numbers | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=12)


@given(anything, st.sampled_from([None, 2]))
def test_read_as_the_standard_library_reads(value, indent):
    """Whatever a text holds, NaN and infinity bare or inside of other text, it is read as json.loads reads it."""
    text = json.dumps(value, indent=indent)
    parsed = loads(text.encode())
    read = unmarked(parsed.value) if parsed.is_marked else parsed.value
    assert repr(read) == repr(json.loads(text))


def test_marks_of_a_log():
    """A log with bare NaN is read by the fast reader, with whole numbers in their place until they are unmarked."""
    parsed = loads(b'[{"loss": NaN, "grad_norm": -Infinity, "note": "a: NaN, b"}, {"loss": Infinity}]')
    assert parsed.is_marked
    first, second = unmarked(parsed.value)
    assert math.isnan(first["loss"])
    assert (first["grad_norm"], first["note"], second) == (-math.inf, "a: NaN, b", {"loss": math.inf})
    marked = parsed.value
    assert unmarked_values([marked[1]["loss"], marked[0]["grad_norm"], 7, "x", 0.5]) == [
        math.inf, -math.inf, 7, "x", 0.5,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["[1NaN]", "[NaN1]", "[-NaN]", "[NaNa]", "[Infinity.5]", "[1-Infinity]", "[--Infinity]", '{"a" NaN}', "[", ""],
)
def test_what_is_no_json_is_none(text):
    """A word that is a part of something else makes no number."""
    with pytest.raises(ValueError, match=r"Expecting|Extra data"):
        loads(text.encode())
