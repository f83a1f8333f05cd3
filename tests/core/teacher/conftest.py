"""A teacher behind HTTP on this machine, and clients of the `openai` package that reach it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from attrs import define
from local_server import KEY, Server, serving

from steersman.teacher import Teacher, call, tally


@pytest.fixture
def server() -> Iterator[Server]:
    """A teacher that answers."""
    with serving() as server:
        yield server


@pytest.fixture
def teacher() -> Teacher:
    """What records."""
    return Teacher()


@define
class Clock:
    """A clock that stands still until it is advanced."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of all calls, which the test advances."""
    clock = Clock()
    for room in (call, tally):
        monkeypatch.setattr(room, "perf_counter", clock)
    return clock


@pytest.fixture
def client(server: Server, teacher: Teacher) -> Iterator[Any]:
    """A wrapped client for threads."""
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, timeout=5, max_retries=0) as plain:
        yield teacher.wrap(plain)


@pytest.fixture
def aclient(server: Server, teacher: Teacher) -> Any:
    """A wrapped client for tasks; close it in the test."""
    return teacher.wrap(openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, timeout=5, max_retries=0))


@pytest.fixture
def asked() -> dict[str, Any]:
    """A question of six words, by the server's count: 6 tokens sent, 2 received, 3 cached."""
    return {"model": "t", "messages": [{"role": "user", "content": "score this text for me please"}]}
