"""A small teacher on this machine: it speaks the OpenAI protocol and scores by a rule that it states."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, cast

from attrs import asdict, define, evolve

from steersman.demo.rlaif.asking import completion_in
from steersman.demo.rlaif.rule import RULE, TOKENS, count_tokens, score

MODEL = "plain-words"
_PATH = "/v1/chat/completions"


@define
class Counts:
    """What a teacher has answered: requests, and the tokens it read and wrote. `refused` requests were faulty."""

    answered: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class TeacherServer(ThreadingHTTPServer):
    """The server. It listens on a free port of 127.0.0.1 from its construction on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._counts, self._lock = Counts(), Lock()

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def counts(self) -> Counts:
        """What was answered so far."""
        with self._lock:
            return evolve(self._counts)

    def answer(self, request: Any) -> dict[str, Any]:
        """Return the response to a request. Raises ValueError where it asks for no score."""
        if request.get("stream"):
            raise ValueError("this teacher does not stream")
        written = f"{score(completion_in(request)):.4f}"
        sent, got = sum(count_tokens(str(m["content"])) for m in request["messages"]), count_tokens(written)
        with self._lock:
            self._counts.answered += 1
            self._counts.prompt_tokens += sent
            self._counts.completion_tokens += got
            number = self._counts.answered
        message = {"role": "assistant", "content": written}
        return {
            "id": f"score-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": sent, "completion_tokens": got, "total_tokens": sent + got},
        }

    def refuse(self) -> None:
        """Count a faulty request."""
        with self._lock:
            self._counts.refused += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # so that a client keeps its connection
    wbufsize = -1  # head and body go out in one piece: two would wait for each other
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """State the rule, and what was answered so far."""
        if self.path == "/":
            told = {"model": MODEL, "rule": RULE, "tokens": TOKENS, "counts": asdict(self._teacher.counts)}
            self._send(200, told)
        else:
            self._send(404, _error(f"there is nothing at {self.path}; POST to {_PATH}"))

    def do_POST(self) -> None:
        """Score one completion."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != _PATH:
            self._send(404, _error(f"there is nothing at {self.path}; POST to {_PATH}"))
            return
        try:
            request = json.loads(body)
            if not isinstance(request, dict):
                raise ValueError("the request must be a JSON object")
            answer = self._teacher.answer(request)
        except ValueError as error:
            self._teacher.refuse()
            self._send(400, _error(str(error)))
        else:
            self._send(200, answer)

    @property
    def _teacher(self) -> TeacherServer:
        return cast("TeacherServer", self.server)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a line for each request would drown the run."""

    def _send(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


@contextmanager
def serving() -> Generator[TeacherServer]:
    """Run a teacher in a thread of this process; its port is free again afterwards, however the run ends."""
    with TeacherServer() as teacher:
        thread = Thread(target=teacher.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield teacher
        finally:
            teacher.shutdown()
            thread.join()
