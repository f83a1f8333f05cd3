"""The strategy `webhook`: options, and the hooks around the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import define, field, fields, validators

from steersman import JournalEntry, Run, Secret, hookimpl
from steersman_webhook.message import Kind, Severity, kind_of, payload
from steersman_webhook.outbox import Delivery, Message, Outbox
from steersman_webhook.posting import check_url


@define(eq=False)
class Webhook:
    """Post findings, changes, rollbacks, stops and errors as JSON to a URL; a step never waits for the server.

    Messages are queued and delivered in order by a thread of their own. One that is not taken is tried again with
    growing waits, then given up; where the queue is full the oldest is dropped. What was not delivered is logged by
    `steersman.webhook`; the journal holds it all.

    Source: Brooker (2015), Exponential backoff and jitter (full jitter); RFC 9110, 10.2.3 (Retry-After).
    """

    url: Secret
    """Where to post: `{env: NAME}`, the environment variable that holds the URL; whoever has the URL may post."""
    kinds: tuple[Kind, ...] = ("finding", "adjustment", "rollback", "stop", "error")
    """What is posted: all that a person may want to act on, and not every log."""
    severity: Severity = "warning"
    """The least severity of a finding that is posted: `info` tells what is well, too."""
    labels: Mapping[str, str] = field(factory=dict[str, str])
    """Names for the run, such as {run: llama-7, host: gpu-3}, in every message; none by default."""
    text_field: str = field(default="text", validator=validators.min_len(1))
    """The field that holds the sentence: Slack and Mattermost read `text`, Discord reads `content`."""
    queue_size: int = field(default=256, validator=validators.ge(1))
    """How many messages may wait; some hundred are a burst, and take little memory."""
    timeout: float = field(default=10.0, validator=[validators.gt(0), validators.le(300)])
    """Seconds that the server may take to answer one attempt."""
    attempts: int = field(default=5, validator=validators.ge(1))
    """How often one message is tried."""
    first_wait: float = field(default=1.0, validator=[validators.ge(0), validators.le(300)])
    """Seconds: the most that is waited before the second attempt; it doubles with each, up to 30."""
    flush_seconds: float = field(default=10.0, validator=[validators.ge(0), validators.le(300)])
    """Seconds that the end of the run may wait for what is queued: an end that hangs costs a machine."""

    _outbox: Outbox | None = field(init=False, default=None, repr=False)

    effects: ClassVar[bool] = True

    @hookimpl
    def on_train_begin(self, run: Run) -> None:
        check_url(self.url.reveal(), f"url: the environment variable {self.url.env}")

    @hookimpl
    def on_journaled(self, run: Run, entry: JournalEntry) -> None:
        kind = kind_of(entry, self.severity)
        if kind is None or kind not in self.kinds:
            return
        if self._outbox is None:
            delivery = Delivery(self.queue_size, self.timeout, self.attempts, self.first_wait)
            self._outbox = Outbox(self.url.reveal, delivery)
        body = payload(entry, kind, self.labels, self.text_field)
        self._outbox.put(Message(f"the {kind} of step {entry.step}", body))

    @hookimpl
    def on_train_end(self, run: Run) -> None:
        if self._outbox is not None:
            self._outbox.flush(self.flush_seconds)

    def __getstate__(self) -> dict[str, Any]:
        return {a.name: getattr(self, a.name) for a in fields(type(self)) if a.name != "_outbox"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in {**state, "_outbox": None}.items():
            object.__setattr__(self, name, value)
