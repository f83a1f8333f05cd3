"""The rule of the demo's teacher, by hand."""

from __future__ import annotations

import pytest

from steersman.demo.rlaif.rule import count_tokens, known_words, score


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("the function", 1.0),
        ("the function, the function.", 11 / 24),  # eleven letters said anew, of 24 characters
        ("the xqzt", 3 / 7),
        ("The function", 8 / 11),  # a word of small letters only
        ("a function", 8 / 9),  # a word of two letters at least
        ("", 0.0),
        (" \n ", 0.0),
        ("*** >>>", 0.0),
    ],
)
def test_the_share_of_characters_in_new_known_words(completion: str, expected: float) -> None:
    """Characters of known words said for the first time, over all characters but spaces."""
    assert score(completion) == pytest.approx(expected)


def test_known_words_are_used_at_least_five_times() -> None:
    """Every known word stands in the documentation at least five times, between spaces, mark or no mark behind."""
    from pydoc_data.topics import topics

    pieces = " ".join(topics.values()).split()
    for word in ("the", "function", sorted(known_words())[0]):
        assert word in known_words()
        assert sum(piece in (word, word + ",", word + ".") for piece in pieces) >= 5


def test_a_token_is_a_word_or_a_mark() -> None:
    """`learn, then rest` has four; digits are words; spaces are nothing."""
    assert [count_tokens(text) for text in ("learn, then rest", "0.2500", " \n", "")] == [4, 3, 0, 0]
