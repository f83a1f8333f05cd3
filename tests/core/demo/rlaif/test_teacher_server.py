"""The demo's own teacher, asked through the real `openai` client."""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from steersman.demo.rlaif.asking import messages
from steersman.demo.rlaif.rule import RULE, count_tokens, score
from steersman.demo.rlaif.teacher_server import MODEL, TeacherServer, serving


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    """A teacher that listens."""
    with serving() as server:
        yield server


@pytest.fixture
def client(server: TeacherServer) -> Iterator[openai.OpenAI]:
    """A client of the public package, without retries."""
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=10) as client:
        yield client


def test_a_score_and_its_usage(server: TeacherServer, client: openai.OpenAI) -> None:
    """Three of seven characters stand in known words: 0.4286, three tokens; what was sent is counted by the rule."""
    asked = messages("To be", "the xqzt")
    answer = client.chat.completions.create(model=MODEL, messages=asked)  # type: ignore[arg-type]
    sent = sum(count_tokens(message["content"]) for message in asked)
    assert answer.choices[0].message.content == "0.4286"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (sent, 3)
    assert (server.counts.answered, server.counts.prompt_tokens, server.counts.completion_tokens) == (1, sent, 3)


def test_the_rule_is_stated(server: TeacherServer) -> None:
    """GET / tells the rule in words and what was answered."""
    with urllib.request.urlopen(server.url.removesuffix("/v1") + "/", timeout=10) as response:
        told = json.load(response)
    assert told["rule"] == RULE
    assert told["counts"] == {"answered": 0, "refused": 0, "prompt_tokens": 0, "completion_tokens": 0}


def test_many_at_once_are_all_counted(server: TeacherServer, client: openai.OpenAI) -> None:
    """Of 120 questions in eight threads each has its own answer, and none is lost in the counts."""
    texts = [f"the function {'z' * n}" for n in range(1, 121)]

    def ask(text: str) -> tuple[str | None, int]:
        answer = client.chat.completions.create(model=MODEL, messages=messages("", text))  # type: ignore[arg-type]
        assert answer.usage is not None
        return answer.choices[0].message.content, answer.usage.prompt_tokens

    with ThreadPoolExecutor(8) as pool:
        answers = [*pool.map(ask, texts)]
    assert [content for content, _ in answers] == [f"{score(text):.4f}" for text in texts]
    assert server.counts.answered == 120
    assert server.counts.prompt_tokens == sum(sent for _, sent in answers)


@pytest.mark.parametrize("stream", [False, True])
def test_a_faulty_request_is_refused(server: TeacherServer, client: openai.OpenAI, stream: bool) -> None:
    """A question that is none, and one for a stream, are refused with 400 and a sentence, and counted apart."""
    asked = messages("", "the") if stream else [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.BadRequestError, match="does not stream" if stream else "must be a JSON object"):
        client.chat.completions.create(model=MODEL, messages=asked, stream=stream)  # type: ignore[call-overload]
    assert (server.counts.answered, server.counts.refused) == (0, 1)


def test_another_path_is_not_found(client: openai.OpenAI) -> None:
    """Only chat completions are spoken."""
    with pytest.raises(openai.NotFoundError, match="POST to /v1/chat/completions"):
        client.models.list()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"messages": []}'])
def test_a_body_that_is_no_request(server: TeacherServer, body: bytes) -> None:
    """What is no JSON object, or asks nothing, is refused with 400."""
    request = urllib.request.Request(server.url + "/chat/completions", data=body)
    with pytest.raises(urllib.error.HTTPError) as raised, urllib.request.urlopen(request, timeout=10):
        pass
    assert raised.value.code == 400
    raised.value.close()


def test_nothing_is_left_behind() -> None:
    """After an exception no thread of the teacher runs on, and another may listen on its port."""
    before = {*threading.enumerate()}
    with pytest.raises(KeyboardInterrupt), serving() as server:
        port = server.server_port
        raise KeyboardInterrupt
    assert {*threading.enumerate()} <= before
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        assert other.getsockname()[1] == port
