"""A wrapped client: it is what it was, and every call it makes is recorded."""

from __future__ import annotations

import openai
import pytest


def test_a_chat_completion(client, teacher, server, asked):
    """One call of six words is one sample of 6 tokens sent, 2 received and 3 cached, as the server counted."""
    answer = client.chat.completions.create(**asked)

    used = teacher.take()
    assert answer.choices[0].message.content == "0.5"
    assert (used.samples, used.tokens, used.received, used.cached_tokens) == server.counts == (1, 6, 2, 3)
    assert (used.retries, used.errors, used.unknown, used.cache_hits) == (0, 0, 0, 0)
    assert teacher.notes() == ()


def test_a_stranger_is_refused(teacher):
    """What is no client of the package is refused before anything is asked, with what to do instead."""
    with pytest.raises(TypeError, match=r"expected an OpenAI or AsyncOpenAI client .* not a str; .*with teacher\(\)"):
        teacher.wrap("http://127.0.0.1/v1")


def test_it_is_what_it_was(client):
    """It is an instance of the public class, under its name, with its settings."""
    assert isinstance(client, openai.OpenAI)
    assert (type(client).__name__, client.max_retries, client.timeout) == ("OpenAI", 0, 5)
