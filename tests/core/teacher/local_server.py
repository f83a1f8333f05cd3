"""A teacher on this machine: speaks chat completions, completions, responses and embeddings over HTTP, and misbehaves
when told to. What it counts itself is the recount the tests compare with."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

KEY = "sk-planted-0123456789abcdef"
"""What a client sends as its key; an error of the server quotes it, and it must be found nowhere else."""

MALFORMED: dict[str, Any] = {
    "negative": {"prompt_tokens": -3, "completion_tokens": 2},
    "text": {"prompt_tokens": "many", "completion_tokens": 2},
    "nan": {"prompt_tokens": float("nan"), "completion_tokens": 2},
    "huge": {"prompt_tokens": 10**30, "completion_tokens": 2},
    "bool": {"prompt_tokens": True, "completion_tokens": 2},
    "list": [1, 2],
    "empty": {},
}


KINDS = ("/chat/completions", "/completions", "/responses", "/embeddings")


class Server(ThreadingHTTPServer):
    """Answers every request soundly, but for those that `plan` holds something for, one each, in order.

    A plan holds: a status (429, 500, ...), `stall`, `no usage`, `bad json`, `prose`, `cut`, `short` (a stream
    that ends without its `[DONE]`), or a name of `MALFORMED`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: deque[int | str] = deque()
        self.delay, self.stall = 0.0, 1.0
        self.score = "0.5"
        self.finish = "stop"
        self.lock = Lock()
        self.requests = self.answers = self.sent = self.received = self.cached = 0
        self.intervals: list[tuple[float, float]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Answers, tokens sent, received and cached, as this server counted them."""
        return self.answers, self.sent, self.received, self.cached

    @property
    def busy(self) -> float:
        """Seconds in which at least one request was being answered."""
        total, until = 0.0, 0.0
        for began, ended in sorted(self.intervals):
            total += max(0.0, ended - max(began, until))
            until = max(until, ended)
        return total

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(6, 1, 1)  # TCP_NODELAY: an answer is written in several parts

    def do_POST(self) -> None:
        began = time.perf_counter()
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.requests += 1
            behaviour = self.server.plan.popleft() if self.server.plan else "answer"
        time.sleep(self.server.delay)
        if behaviour == "stall":
            time.sleep(self.server.stall)
        elif isinstance(behaviour, int):
            self.reply({"error": {"message": f"no: {self.headers['authorization']}"}}, behaviour)
        elif behaviour == "bad json":
            self.write(b'{"id": "x", "usage": {"prompt', "application/json")
        elif behaviour == "prose":
            self.write(b"the teacher is out", "text/plain")
        else:
            self.answer(asked, behaviour)
        with self.server.lock:
            self.server.intervals.append((began, time.perf_counter()))

    def answer(self, asked: dict[str, Any], behaviour: str) -> None:
        usage = self.usage(asked)
        if behaviour == "answer":
            with self.server.lock:
                self.server.answers += 1
                self.server.sent += usage["sent"]
                self.server.received += usage["received"]
                self.server.cached += usage["cached"]
        kind = next(kind for kind in KINDS if self.path.partition("?")[0].endswith(kind))
        told = MALFORMED.get(behaviour, spelled(kind, usage)) if behaviour != "no usage" else None
        if asked.get("stream"):
            self.stream(kind, asked, told, behaviour)
        else:
            self.reply(whole(kind, self.server.score, self.server.finish, told))

    def usage(self, asked: dict[str, Any]) -> dict[str, int]:
        """A token is a word; half of what is sent is in the cache; the answer has 2 to 4."""
        text = asked.get("prompt") or asked.get("input") or " ".join(m["content"] for m in asked["messages"])
        words = len(str(text).split())
        return {"sent": words, "received": 2 + words % 3, "cached": words // 2}

    def stream(self, kind: str, asked: dict[str, Any], told: Any, behaviour: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        events = responses_events if kind == "/responses" else chat_events
        asks = kind == "/responses" or (asked.get("stream_options") or {}).get("include_usage")
        for i, event in enumerate(events(self.server, kind, told if asks else None)):
            if behaviour == "cut" and i == 2:
                self.close_connection = True
                return
            if behaviour == "short" and i == 2:
                break
            self.chunk(f"event: {event['type']}\n" if "type" in event else "", json.dumps(event))
        if kind != "/responses" and behaviour != "short":
            self.chunk("", "[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, head: str, data: str) -> None:
        body = f"{head}data: {data}\n\n".encode()
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    def reply(self, body: Any, status: int = 200) -> None:
        self.write(json.dumps(body).encode(), "application/json", status)

    def write(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("retry-after-ms", "1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def spelled(kind: str, usage: dict[str, int]) -> dict[str, Any]:
    """Usage as this endpoint spells it."""
    sent, received, cached = usage["sent"], usage["received"], {"cached_tokens": usage["cached"]}
    if kind == "/responses":
        return {
            "input_tokens": sent,
            "output_tokens": received,
            "total_tokens": sent + received,
            "input_tokens_details": cached,
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    if kind == "/embeddings":
        return {"prompt_tokens": sent, "total_tokens": sent}
    return {
        "prompt_tokens": sent,
        "completion_tokens": received,
        "total_tokens": sent + received,
        "prompt_tokens_details": cached,
    }


def whole(kind: str, score: str, finish: str, usage: Any) -> dict[str, Any]:
    told = {} if usage is None else {"usage": usage}
    if kind == "/embeddings":
        return {
            "object": "list",
            "model": "t",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
            **told,
        }
    if kind == "/responses":
        return response(score, "completed", usage)
    choice = {"index": 0, "finish_reason": finish}
    if kind == "/completions":
        return {
            "id": "x",
            "object": "text_completion",
            "created": 1,
            "model": "t",
            "choices": [{**choice, "text": score}],
            **told,
        }
    message = {"role": "assistant", "content": score}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "t",
        "choices": [{**choice, "message": message}],
        **told,
    }


def response(score: str, status: str, usage: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": score, "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "t",
        "status": status,
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def chat_events(server: Server, kind: str, usage: Any) -> Iterator[dict[str, Any]]:
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "t"}
    for piece in ("", server.score[:1], server.score[1:]):
        part = {"text": piece} if kind == "/completions" else {"delta": {"role": "assistant", "content": piece}}
        yield {**head, "choices": [{"index": 0, "finish_reason": None, **part}]}
    part = {"text": ""} if kind == "/completions" else {"delta": {}}
    yield {**head, "choices": [{"index": 0, "finish_reason": "stop", **part}]}
    if usage is not None:
        yield {**head, "choices": [], "usage": usage}


def responses_events(server: Server, kind: str, usage: Any) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "sequence_number": 0, "response": response("", "in_progress", None)}
    yield {
        "type": "response.output_text.delta",
        "sequence_number": 1,
        "item_id": "m",
        "output_index": 0,
        "content_index": 0,
        "delta": server.score,
        "logprobs": [],
    }
    status = "failed" if server.finish == "failed" else "completed"
    yield {"type": f"response.{status}", "sequence_number": 2, "response": response(server.score, status, usage)}


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server on a free port of this machine."""
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
