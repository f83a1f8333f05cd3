"""One HTTP POST, and what its answer means. Nothing here says or raises the address: it is a secret."""

from __future__ import annotations

import email.utils
import http.client
import random
import time
import urllib.error
import urllib.request
from email.message import Message
from typing import IO, Literal
from urllib.parse import urlsplit

from attrs import frozen

MOST_RETRY_AFTER = 60.0
"""Seconds: the longest wait that a server's Retry-After is followed for."""
_RETRIED = frozenset({408, 429})


@frozen
class Answer:
    """What became of a POST: `delivered`, or whether to try again, and why, in words without the address.

    `after` is how many seconds the server asks to wait, or None.
    """

    verdict: Literal["delivered", "retry", "refused"]
    why: str = ""
    after: float | None = None


def check_url(url: str, named: str) -> None:
    """Raise ValueError where `url` is no address to post to; `named` says where it came from."""
    problem = f"{named} must hold a URL that begins with https:// or http:// and names a host, without user or password"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:  # its own message would hold a part of the secret
        usable = False
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError(problem)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without its body, or take the message to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


# urllib and not httpx: one POST at a time from one thread needs no pool, and a webhook should bring no dependency.
_opener = urllib.request.build_opener(_NoRedirects)


def post(url: str, body: bytes, timeout: float) -> Answer:
    """POST `body` as JSON and return what became of it. `timeout` is in seconds, of each wait for the server.

    Raises nothing that goes wrong on the way.
    """
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "steersman-webhook"}
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with _opener.open(request, timeout=timeout):
            return Answer("delivered")
    except urllib.error.HTTPError as error:
        with error:
            return of_status(error.code, error.headers.get("Retry-After"))
    except (OSError, http.client.HTTPException) as error:
        return Answer("retry", _reason(error))


def of_status(status: int, asks: str | None = None, now: float | None = None) -> Answer:
    """Return what a status other than 2xx means: server errors, 408 and 429 are tried again, the rest is refused.

    `asks` is the Retry-After header, if any; `now` is the time in seconds since 1970 that a date in it is held against.
    """
    if status in _RETRIED or status >= 500:
        return Answer("retry", f"HTTP {status}", retry_after(asks, now))
    return Answer("refused", f"HTTP {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else ""))


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds a Retry-After asks for, a number or a date (RFC 9110, 10.2.3), at most a minute."""
    if value is None:
        return None
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MOST_RETRY_AFTER)


def wait_before(attempt: int, answer: Answer, first: float, most: float, draw: random.Random) -> float:
    """Return the seconds to wait after failed attempt number `attempt`, which begins with 1.

    It is drawn evenly from 0 to first * 2^(attempt - 1), at most `most` ("full jitter", Brooker 2015, Exponential
    backoff and jitter), so that many runs do not come back at once; never sooner than the server asks.
    """
    return max(draw.uniform(0.0, min(most, first * 2.0 ** min(attempt - 1, 60))), answer.after or 0.0)


def _reason(error: Exception) -> str:
    """Return the type of an error and what the system says of it; its own text may hold the address."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return "it did not answer in time"
    if isinstance(cause, OSError) and cause.errno is not None and cause.strerror and type(cause).__module__ != "ssl":
        return f"{type(cause).__name__}: {cause.strerror}"
    return type(cause).__name__
