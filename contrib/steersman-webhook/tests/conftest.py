"""A real HTTP server on this machine that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

PATH = "/services/T0SECRET/B0SECRET"


class Receiver:
    """Keeps what was posted; `answers` are (status, headers) of the first requests, `then` of all after those.

    While `open` is not set a request is not answered; `arrived` is set with the first.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.path = PATH
        self.url = f"http://127.0.0.1:{server.server_address[1]}{PATH}"
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.answers: list[tuple[int, Mapping[str, str]]] = []
        self.then: tuple[int, Mapping[str, str]] = (200, {})
        self.open, self.arrived = threading.Event(), threading.Event()
        self.open.set()

    @property
    def posted(self) -> list[dict[str, Any]]:
        """What was posted, as values."""
        return [json.loads(body) for body in self.bodies]


def _handler(receiver: Callable[[], Receiver]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = receiver()
            told.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            told.paths.append(self.path)
            told.arrived.set()
            told.open.wait()
            status, headers = told.answers.pop(0) if told.answers else told.then
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()
            except OSError:
                pass  # the client has gone away, as a client that timed out does

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A server that answers 200, whose URL is in the environment variable HOOK."""
    holder: list[Receiver] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: holder[0]))
    holder.append(Receiver(server))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HOOK", holder[0].url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield holder[0]
    holder[0].open.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gone(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a port that nothing listens on, in the environment variable HOOK."""
    closed = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = closed.server_address[1]
    closed.server_close()
    url = f"http://127.0.0.1:{port}{PATH}"
    monkeypatch.setenv("HOOK", url)
    return url
