"""A bounded queue and the one thread that empties it, so that nobody waits for a server."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import frozen

from steersman_webhook.posting import Answer, post, wait_before

_log = logging.getLogger("steersman.webhook")
_LONGEST_WAIT = 30.0
_TOLD = 5


@frozen
class Delivery:
    """How to deliver: the queue's length, the seconds a server may take, attempts, seconds before the second one."""

    queue_size: int
    timeout: float
    attempts: int
    first_wait: float


@frozen(eq=False)
class Message:
    """What is posted, and its name in a few words for the log."""

    name: str
    body: str


class Outbox:
    """Holds messages until they are delivered, in order; beyond its size the oldest is dropped and counted.

    A daemon thread begins with the first message and ends with the last. It is started again when another comes, so
    between messages and after the end of a run there is none.
    """

    def __init__(self, url: Callable[[], str], delivery: Delivery) -> None:
        self.dropped = self.failed = 0
        self._url, self._delivery = url, delivery
        self._queue: deque[Message] = deque()
        self._under_way: Message | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._given_up = threading.Event()
        self._draw = random.Random()  # its own, seeded by the system: the run's draws stay as they are

    @property
    def thread(self) -> threading.Thread | None:
        """The thread at work, or None where nothing is to be delivered."""
        return self._thread

    def put(self, message: Message) -> None:
        """Add a message and return at once."""
        with self._changed:
            is_full = len(self._queue) >= self._delivery.queue_size
            if is_full:
                self._queue.popleft()
                self.dropped += 1
            is_first = is_full and self.dropped == 1
            self._queue.append(message)
            if self._thread is None or self._given_up.is_set():  # one that was given up may hang in its last request
                self._given_up = given_up = threading.Event()
                self._thread = threading.Thread(
                    target=self._work, args=(given_up,), name="steersman-webhook", daemon=True
                )
                self._thread.start()
        if is_first:
            _log.warning("the webhook is slower than the run: the oldest messages are dropped, and counted")

    def flush(self, seconds: float) -> None:
        """Wait until all is delivered, for at most so many seconds; then give up and log what was not delivered."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._thread is not None and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            lost = [*([self._under_way] if self._under_way else []), *self._queue]
            self._queue.clear()
            self._under_way = None
            self._given_up.set()
            self._thread = None
        if lost:
            names = ", ".join(message.name for message in lost[:_TOLD])
            more = f" and {len(lost) - _TOLD} more" if len(lost) > _TOLD else ""
            _log.warning(
                "%d messages were not delivered to the webhook within %g seconds: %s%s; the journal holds them",
                len(lost), seconds, names, more,
            )  # fmt: skip
        if self.dropped:
            _log.warning("%d messages were dropped, because the queue of the webhook was full", self.dropped)
        if self.failed:
            _log.warning("%d messages were given up, because the webhook did not take them", self.failed)

    def _work(self, given_up: threading.Event) -> None:
        while (message := self._next(given_up)) is not None:
            try:
                answer = self._deliver(message, given_up)
            except Exception as error:
                answer = Answer("refused", type(error).__name__)  # its text may hold the address
            if answer.verdict != "delivered" and not given_up.is_set():
                self.failed += 1
                _log.warning("%s was not delivered to the webhook: %s", message.name, answer.why)

    def _next(self, given_up: threading.Event) -> Message | None:
        """Return the oldest message; None ends the thread."""
        with self._changed:
            if given_up.is_set():
                return None
            self._under_way = self._queue.popleft() if self._queue else None
            if self._under_way is None:
                self._thread = None
                self._changed.notify_all()
            return self._under_way

    def _deliver(self, message: Message, given_up: threading.Event) -> Answer:
        url, how = self._url(), self._delivery
        body = without(message.body, url).encode(errors="replace")
        answer = post(url, body, how.timeout)
        for attempt in range(1, how.attempts):
            wait = wait_before(attempt, answer, how.first_wait, _LONGEST_WAIT, self._draw)
            if answer.verdict != "retry" or given_up.wait(wait):
                break
            answer = post(url, body, how.timeout)
        return answer


def without(body: str, url: str) -> str:
    """Return a JSON text without the address, whole or its path and query alone: an error may quote it."""
    parts = urlsplit(url)
    for secret in (url, url.split(parts.netloc, 1)[-1]):
        if len(secret) > 4:  # a shorter path is no secret, and found everywhere
            body = body.replace(json.dumps(secret, ensure_ascii=False)[1:-1], "[webhook]")
    return body
