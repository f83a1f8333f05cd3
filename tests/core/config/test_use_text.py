"""`--use` on the command line becomes the entry of `use:` that a config file would have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman.config.use_text import parsed
from steersman.config.yaml_text import dumps

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("eval-loss", "eval-loss"),
        (" eval-loss ", "eval-loss"),
        ("median-loss:window=5", {"median-loss": {"window": 5}}),
        ("m:a=1e-4,b=true,c=on,d=null", {"m": {"a": 1e-4, "b": True, "c": "on", "d": None}}),
        ("m: a = 1 , b = x y", {"m": {"a": 1, "b": "x y"}}),
        ('m:a="x, y",b=it\'s', {"m": {"a": "x, y", "b": "it's"}}),
        ("m:weights={a: 1, b: 2},names=[x, y]", {"m": {"weights": {"a": 1, "b": 2}, "names": ["x", "y"]}}),
        ("median-loss as short:window=2", {"median-loss as short": {"window": 2}}),
        ("./hooks/quota.py:Quota", "./hooks/quota.py:Quota"),
        ("./hooks/quota.py:Quota:limit=3", {"./hooks/quota.py:Quota": {"limit": 3}}),
        ("./quota.py:Quota as q:limit=3", {"./quota.py:Quota as q": {"limit": 3}}),
        (r"C:\hooks\quota.py:Quota", r"C:\hooks\quota.py:Quota"),
        (r"C:\hooks\quota.py:Quota:limit=3", {r"C:\hooks\quota.py:Quota": {"limit": 3}}),
        ("webhook:url=http://host:80/x.py:y", {"webhook": {"url": "http://host:80/x.py:y"}}),
        ("m:path=a=b", {"m": {"path": "a=b"}}),
    ],
)
def test_what_a_text_stands_for(text, entry):
    """A name, its own name in the run, a file with its class and a drive letter; values are YAML."""
    assert parsed(text) == entry


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "character 1: expected the name of a strategy, got nothing"),
        (":a=1", "character 1: expected the name of a strategy, got ':a=1'"),
        ("m:", "character 3: expected key=value, got nothing"),
        ("m:5", "character 3: expected key=value, got '5'"),
        ("m:a=1,", "character 7: expected key=value, got nothing"),
        ("m:a=1, =2", "character 8: expected key=value, got '=2'"),
        ("m:a=1,a=2", "character 7: the option 'a' is there twice, got 'a=2'"),
        ("m:a=", "character 5: the option 'a' has no value; give null or '' if you mean that, got nothing"),
        ("m:a=[1", "character 5: the value of 'a' is no YAML, it does not parse: line 1, column 3"),
        ("./x.py:", "expected the name of a class after `.py:`"),
        ("./x.py::a=1", "expected the name of a class after `.py:`"),
        (r"C:\x.py", r"expected key=value; a file names its class too: C:\x.py:MyClass"),
    ],
)
def test_a_faulty_text_names_the_place(text, said):
    """What is wrong is told with the character where it begins."""
    with pytest.raises(ValueError) as error:
        parsed(text)
    assert said in str(error.value)


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), _SCALARS | st.lists(_SCALARS), min_size=1))
def test_any_value_comes_back(options):
    """Whatever options a strategy may have, written as YAML they are read as the same values."""
    text = ",".join(f"{key}={dumps([value])[1:-1]}" for key, value in options.items())
    assert parsed(f"m:{text}") == {"m": options}
