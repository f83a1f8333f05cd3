import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from steersman.config.yaml_text import dumps, loads, told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        ("-.5", -0.5),
        ("+7", 7),
        (".inf", math.inf),
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("0x10", "0x10"),
        ("true", True),
        ("~", None),
        ("", None),
    ],
)
def test_the_scalars_of_yaml_1_2(text, value):
    """Numbers are numbers however they are written, and words are words."""
    read = loads(text)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["no", "1e-4", "12:30", "null", "true", "0x10", "a: b", " # c", "two\nlines", "", "- a"]
)
def test_text_that_looks_like_something_else(text):
    """Text is written on one line so that it is read as text again, by YAML 1.1 as well."""
    written = dumps(text)
    assert "\n" not in written
    assert loads(written) == text
    assert yaml.safe_load(written) == text


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(_PLAIN)
def test_what_is_written_is_read_again(value):
    """Any plain value is one line that reads back as the same value."""
    written = dumps(value)
    assert len(written.splitlines()) <= 1
    assert loads(written) == value


def test_a_key_twice():
    """A key that is written twice is a fault with its line."""
    with pytest.raises(yaml.YAMLError) as caught:
        loads("mode: act\nmode: observe\n")
    assert told(caught.value) == "it does not parse: line 1, column 1: the key 'mode' is there twice"


def test_what_does_not_parse_is_one_sentence():
    """Text that is no YAML is told with line and column, without the parser's own drawing."""
    with pytest.raises(yaml.YAMLError) as caught:
        loads("mode: act\nuse: [a\n")
    assert told(caught.value) == "it does not parse: line 3, column 1: expected ',' or ']', but got '<stream end>'"
