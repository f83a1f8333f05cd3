"""The rule by which the demo's own teacher scores, and how it counts tokens."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

RULE = (
    "The score is the share of a completion's characters, spaces left out, that stand in words the teacher knows: "
    "the words of two or more small letters that Python's own documentation uses at least five times. "
    "A comma or a full stop may follow. "
    "A word that was there before counts nothing, so that repeating oneself does not pay."
)
"""What the teacher tells of its rule."""
TOKENS = "A token is a word or a single mark: `learn, then rest` is four."
"""What the teacher tells of its tokens."""
_WORD = re.compile(r"([a-z]{2,})[.,]?")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_OFTEN = 5


def score(completion: str) -> float:
    """Return the score of a completion by `RULE`, from 0 to 1; higher is better. An empty one gets 0."""
    pieces = completion.split()
    said = {match[1] for piece in pieces if (match := _WORD.fullmatch(piece)) is not None}
    characters = sum(map(len, pieces))
    return sum(map(len, said & known_words())) / characters if characters else 0.0


def count_tokens(text: str) -> int:
    """Return how many tokens a text has by `TOKENS`."""
    return len(_TOKEN.findall(text))


@cache
def known_words() -> frozenset[str]:
    """Return the words the teacher knows."""
    from pydoc_data.topics import topics

    pieces = (match[1] for text in topics.values() for piece in text.split() if (match := _WORD.fullmatch(piece)))
    return frozenset(word for word, times in Counter(pieces).items() if times >= _OFTEN)
