"""What a response says of its tokens, in every spelling, and what is no number of tokens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from steersman.teacher.tokens import Tokens, counted, of_response


def usage(**told):
    return {"usage": told}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (usage(prompt_tokens=7, completion_tokens=3), Tokens(7, 3)),
        (usage(prompt_tokens=7, completion_tokens=3, prompt_tokens_details={"cached_tokens": 4}), Tokens(7, 3, 4)),
        (usage(prompt_tokens=7, completion_tokens=3, prompt_tokens_details=None), Tokens(7, 3)),
        (usage(input_tokens=7, output_tokens=3, input_tokens_details={"cached_tokens": 4}), Tokens(7, 3, 4)),
        (usage(prompt_tokens=7, total_tokens=7), Tokens(7, 0)),
        (usage(prompt_tokens=7, total_tokens=9), Tokens(7, 2)),
        (usage(prompt_tokens=7.0, completion_tokens=3.0), Tokens(7, 3)),
        (SimpleNamespace(usage=SimpleNamespace(prompt_tokens=7, completion_tokens=3)), Tokens(7, 3)),
        (None, Tokens()),
        ({}, Tokens()),
        ({"usage": None}, Tokens()),
        ("the teacher is out", Tokens()),
    ],
)
def test_a_usage_in_every_spelling(response, expected):
    """Chat completions, responses and embeddings, as objects and as JSON, say what they say; nothing says nothing."""
    assert of_response(response) == expected


@pytest.mark.parametrize("value", [-1, "7", float("nan"), float("inf"), 10**9 + 1, 10**400, True, 7.5, [7], {"of": 7}])
def test_what_is_no_number_of_tokens(value):
    """A value that is no whole number from 0 to a billion is a fault, and what stands beside it still counts."""
    assert of_response(usage(prompt_tokens=value, completion_tokens=3)) == Tokens(None, 3, None, ("sent",))
    assert of_response(usage(prompt_tokens=7, completion_tokens=value)) == Tokens(7, None, None, ("received",))
    details = {"cached_tokens": value}
    told = of_response(usage(prompt_tokens=7, completion_tokens=3, prompt_tokens_details=details))
    assert told == Tokens(7, 3, None, ("cached",))


@pytest.mark.parametrize("told", [{}, [1, 2], "seven", 7, {"completion_tokens": None}])
def test_a_usage_that_lacks_what_was_sent(told):
    """A usage that is there and says nothing of what was sent is a fault."""
    assert of_response({"usage": told}) == Tokens(None, None, None, ("sent",))


def test_a_usage_that_lacks_what_was_received():
    """Where neither the tokens received nor a total are told, or the total is less than the part, they are no 0."""
    assert of_response(usage(prompt_tokens=7)) == Tokens(7, None, None, ("received",))
    assert of_response(usage(prompt_tokens=7, total_tokens=6)) == Tokens(7, None, None, ("received",))


def test_an_object_that_will_not_be_looked_at():
    """An object whose usage raises when it is looked at tells nothing, and nothing is raised."""

    class Hostile:
        @property
        def usage(self):
            raise RuntimeError("sk-secret")

    assert of_response(Hostile()) == Tokens()


def test_tokens_as_numbers():
    """Numbers told by hand are held to the same: 5 sent and 2 received are known, -1 cached is a fault."""
    assert counted(sent=5, received=2, cached=-1) == Tokens(5, 2, None, ("cached",))
    assert counted(sent=None, received=2, cached=None) == Tokens(None, 2)


def test_more_cached_than_sent():
    """Eight cached of seven sent are no count, by hand and in a response; seven of seven are."""
    assert counted(sent=7, received=3, cached=8) == Tokens(7, 3, None, ("cached",))
    assert counted(sent=7, received=3, cached=7) == Tokens(7, 3, 7)
    told = of_response(usage(prompt_tokens=7, total_tokens=9, prompt_tokens_details={"cached_tokens": 8}))
    assert told == Tokens(7, 2, None, ("cached",))
