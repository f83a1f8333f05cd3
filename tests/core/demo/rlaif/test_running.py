"""Where the scores come from, and with which key."""

from __future__ import annotations

import openai
import pytest
from local_server import serving as misbehaving

from steersman.demo.rlaif.reward import TeacherReward, TeacherUnusable
from steersman.demo.rlaif.running import source
from steersman.demo.rlaif.teacher_server import MODEL

KEY = "sk-planted-0123456789abcdef"


def test_the_demos_own_teacher_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address the demo's own server is asked, and the key in the environment stays there."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with source(None, None) as asked:
        assert asked.server is not None
        assert (asked.url, asked.model, asked.key) == (asked.server.url, MODEL, "none")


@pytest.mark.parametrize(("held", "key"), [(KEY, KEY), ("", "none"), (None, "none")])
def test_another_teacher_gets_the_key_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, held: str | None, key: str
) -> None:
    """Another teacher is asked with the key in OPENAI_API_KEY, or none; a source that is printed does not show it."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if held is not None:
        monkeypatch.setenv("OPENAI_API_KEY", held)
    with source("http://127.0.0.1:1/v1", "m") as asked:
        assert (asked.url, asked.model, asked.key, asked.server) == ("http://127.0.0.1:1/v1", "m", key, None)
        assert KEY not in repr(asked)


def test_an_address_holds_no_secret() -> None:
    """User info and query of a URL are asked with, and neither shown nor printed."""
    url = "http://user:pa55word@127.0.0.1:1/v1?key=sk-INURL"
    with source(url, "m") as asked:
        assert (asked.url, asked.address) == (url, "http://127.0.0.1:1/v1")
        assert "pa55word" not in repr(asked)
        assert "sk-INURL" not in repr(asked)


def test_a_quoted_key_is_not_said() -> None:
    """A teacher that turns us away and quotes the key: the sentence has the status and not the key."""
    with misbehaving() as server:
        server.plan.append(401)
        with (
            openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client,
            TeacherReward(client, "m", print) as reward,
            pytest.raises(TeacherUnusable) as raised,
        ):
            reward.try_once()
    assert str(raised.value) == "the teacher cannot be asked (AuthenticationError, status 401)"
