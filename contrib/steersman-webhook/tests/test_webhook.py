"""`webhook` against a real HTTP server that is fast, slow, failing, gone or hanging."""

from __future__ import annotations

import copy
import logging
import pickle
import random
import threading
from pathlib import Path

import pytest
from attrs import define
from steersman_webhook import Webhook

from steersman import Adjust, Finding, JournalEntry, Secret, Stop, hookimpl
from steersman.testing import a_run, play

RUNS = Path(__file__).parent / "runs"


def webhook(**options):
    """Return a webhook to HOOK that does not wait between its attempts."""
    return Webhook(**{"url": Secret("HOOK"), "first_wait": 0.0, **options})


def finding(step, severity="warning", message="m"):
    """Return the journal entry of a finding."""
    data = {"strategy": "s", "name": "n", "severity": severity, "message": message, "evidence": {}}
    return JournalEntry("finding", step, data, 0.0)


def workers():
    """Return the threads of webhooks."""
    return [thread for thread in threading.enumerate() if thread.name == "steersman-webhook"]


def steps(receiver):
    """Return the steps of what was posted, in order."""
    return [told["step"] for told in receiver.posted]


@define(eq=False)
class Eventful:
    """Finds, changes, stops and fails, each at an epoch of its own."""

    @hookimpl
    def diagnose(self, run, check):
        if check.step == 10:
            return Finding("high", "the loss is high", "critical", {"loss": float("nan")})
        if check.step == 20:
            return Finding("low", "all is well", "info")
        if check.step == 40:
            raise ValueError(f"cannot reach {Secret('HOOK').reveal()}")
        return None

    @hookimpl
    def propose_adjustments(self, run, check):
        if check.step == 30:
            return Adjust("learning_rate", scale=0.5, because="high")
        return Stop("that will do") if check.step == 50 else None


def eventful_run():
    """Return a run of six epochs."""
    story = a_run(learning_rate=0.1)
    for _ in range(6):
        story = story.epoch(loss=1.0)
    return story


def test_what_happens_in_a_run_is_posted_in_order(receiver):
    """The critical finding, the change, the error and the stop; not the finding of severity info, nor any log."""
    played = eventful_run().play(Eventful(), webhook())

    told = [(t["kind"], t["step"]) for t in receiver.posted]
    assert told == [("finding", 10), ("adjustment", 30), ("error", 40), ("stop", 50)]
    assert receiver.posted[0]["evidence"] == {"loss": "NaN"}
    changed = "steersman, step 30: eventful changed learning_rate 0.1 -> 0.05 because of high"
    assert receiver.posted[1]["text"] == changed
    assert [error.split(":")[0] for error in played.errors] == ["eventful failed in diagnose at step 40"]
    assert workers() == []


def test_kinds_and_severity_choose(receiver):
    """Only findings, of any severity."""
    eventful_run().play(Eventful(), webhook(kinds=("finding",), severity="info"))

    assert [(t["kind"], t["severity"]) for t in receiver.posted] == [("finding", "critical"), ("finding", "info")]


def test_discord_reads_another_field(receiver):
    """The sentence is under the name that the receiver reads."""
    eventful_run().play(Eventful(), webhook(kinds=("stop",), text_field="content", labels={"run": "r1"}))

    assert receiver.posted[0]["content"] == "steersman, step 50: eventful stops the run: that will do [r1]"
    assert "text" not in receiver.posted[0]


def test_nothing_runs_before_the_first_message_nor_after_the_last(receiver):
    """The thread begins with a message and is gone at the end of the run."""
    hook = webhook()
    hook.on_train_begin(None)
    assert workers() == []

    hook.on_journaled(None, finding(1))
    hook.on_train_end(None)

    assert workers() == []
    assert steps(receiver) == [1]


def test_a_thousand_entries_are_journaled_while_the_server_does_not_answer(receiver, caplog):
    """The server answers nothing until all entries are journaled, so no call can have waited for it.

    The oldest are dropped and counted: one is under way, the newest 256 are in the queue, 743 are dropped.
    """
    receiver.open.clear()
    hook = webhook(flush_seconds=60.0)

    hook.on_journaled(None, finding(0))
    assert receiver.arrived.wait(60)  # the first is under way
    for step in range(1, 1000):
        hook.on_journaled(None, finding(step))
    assert len(receiver.bodies) == 1
    receiver.open.set()
    hook.on_train_end(None)

    assert steps(receiver) == [0, *range(744, 1000)]
    assert "743 messages were dropped" in caplog.text


def test_one_thread_serves_a_whole_run(receiver):
    """However many messages wait, there is one thread."""
    receiver.open.clear()
    hook = webhook(flush_seconds=60.0)
    for step in range(50):
        hook.on_journaled(None, finding(step))
    assert len(workers()) == 1

    receiver.open.set()
    hook.on_train_end(None)

    assert steps(receiver) == list(range(50))


def test_a_server_that_fails_and_then_works_gets_everything_once_and_in_order(receiver, caplog):
    """500, 503 and 429 are tried again with the same message before the next one is."""
    receiver.answers = [(500, {}), (503, {"Retry-After": "0"}), (429, {"Retry-After": "0"}), (200, {})]
    hook = webhook(flush_seconds=60.0)
    for step in (1, 2, 3):
        hook.on_journaled(None, finding(step))
    hook.on_train_end(None)

    assert steps(receiver) == [1, 1, 1, 1, 2, 3]
    assert caplog.text == ""


def test_a_server_that_always_fails_is_given_up_and_said(receiver, caplog):
    """Three attempts for each message, then it is named in the log with the reason, and counted at the end."""
    receiver.then = (500, {})
    hook = webhook(attempts=3, flush_seconds=60.0)
    for step in (1, 2):
        hook.on_journaled(None, finding(step))
    hook.on_train_end(None)

    assert steps(receiver) == [1, 1, 1, 2, 2, 2]
    assert "the finding of step 1 was not delivered to the webhook: HTTP 500" in caplog.text
    assert "2 messages were given up" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_what_the_server_refuses_is_not_tried_again(receiver, caplog, status):
    """The same message would be refused again; the next one is sent."""
    receiver.answers = [(status, {})]
    hook = webhook(flush_seconds=60.0)
    for step in (1, 2):
        hook.on_journaled(None, finding(step))
    hook.on_train_end(None)

    assert steps(receiver) == [1, 2]
    assert f"HTTP {status}" in caplog.text


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/hostname", "{url}/elsewhere"])
def test_a_redirect_is_not_followed(receiver, caplog, target):
    """Neither to another scheme nor to another path: a redirected POST would lose its body or go to another host."""
    receiver.answers = [(302, {"Location": target.format(url=receiver.url)})]
    hook = webhook(flush_seconds=60.0)
    hook.on_journaled(None, finding(1))
    hook.on_train_end(None)

    assert receiver.paths == [receiver.path]
    assert "HTTP 302, a redirect, which is not followed" in caplog.text


def test_a_server_that_is_gone(gone, caplog):
    """Nothing listens: the run ends, and the log says which message was not delivered and why."""
    hook = webhook(attempts=2, flush_seconds=60.0)
    hook.on_journaled(None, finding(7))
    hook.on_train_end(None)

    assert "the finding of step 7 was not delivered to the webhook: ConnectionRefusedError" in caplog.text
    assert workers() == []


def test_a_server_that_hangs_is_left_at_the_end(receiver, caplog):
    """With nothing answered and no second to wait, the end names what was not delivered, and goes on."""
    receiver.open.clear()
    hook = webhook(flush_seconds=0.0)
    for step in range(7):
        hook.on_journaled(None, finding(step))
    assert receiver.arrived.wait(60)
    hook.on_train_end(None)

    assert "7 messages were not delivered to the webhook within 0 seconds: the finding of step 0," in caplog.text
    assert "and 2 more; the journal holds them" in caplog.text
    [worker] = workers()
    receiver.open.set()
    worker.join(60)
    assert not worker.is_alive()
    assert steps(receiver) == [0]


def test_an_attempt_that_is_not_answered_in_time_is_a_failure(receiver, caplog):
    """The server holds the request; the attempt ends by its own limit and says so."""
    receiver.open.clear()
    hook = webhook(timeout=0.05, attempts=1, flush_seconds=60.0)
    hook.on_journaled(None, finding(1))
    hook.on_train_end(None)

    assert "the finding of step 1 was not delivered to the webhook: it did not answer in time" in caplog.text


def test_a_wait_between_attempts_does_not_hold_the_end(receiver):
    """A message that waits 60 s for its second attempt is given up at the end, and its thread with it."""
    receiver.then = (429, {"Retry-After": "60"})
    hook = webhook(flush_seconds=0.0)
    hook.on_journaled(None, finding(1))
    [worker] = workers()
    assert receiver.arrived.wait(60)
    hook.on_train_end(None)
    worker.join(30)

    assert not worker.is_alive()


def test_a_second_run_with_the_same_webhook_is_served(receiver):
    """After an end that gave up on a hanging request, the next run has a thread of its own."""
    receiver.open.clear()
    hook = webhook(flush_seconds=0.0)
    hook.on_journaled(None, finding(1))
    assert receiver.arrived.wait(60)
    hook.on_train_end(None)
    hook.on_journaled(None, finding(2))
    receiver.open.set()
    hook._outbox.flush(60.0)

    assert sorted(steps(receiver)) == [1, 2]


def test_the_address_is_in_no_log_and_no_message(receiver, caplog):
    """Not in the error that quotes it, not in the log of a failure, not in repr, not in a pickle."""
    caplog.set_level(logging.DEBUG)
    receiver.answers = [(404, {}), (500, {}), (302, {"Location": receiver.url})]
    hook = webhook(flush_seconds=60.0)
    eventful_run().play(Eventful(), hook)
    hook.on_journaled(None, finding(90, message=f"failed: {receiver.url}"))
    hook.on_train_end(None)

    assert b"SECRET" not in b"".join(receiver.bodies)
    assert b"[webhook]" in receiver.bodies[-1]
    assert "SECRET" not in caplog.text + repr(hook)
    assert b"SECRET" not in pickle.dumps(hook)


@pytest.mark.parametrize("value", ["ftp://SECRET/x", "SECRET"])
def test_an_address_that_is_none_is_said_at_the_start_and_the_run_goes_on(monkeypatch, value):
    """The error names the variable and not what it holds; the strategy is set aside, the run is not."""
    monkeypatch.setenv("HOOK", value)

    played = eventful_run().play(webhook(), Eventful())

    assert "the environment variable HOOK must hold a URL" in played.errors[0]
    assert "SECRET" not in played.errors[0]
    assert played.stopped_at == 50


def test_a_variable_that_is_not_set_is_said_at_the_start(monkeypatch):
    """It is named."""
    monkeypatch.delenv("HOOK", raising=False)

    played = eventful_run().play(webhook(), Eventful())

    assert "HOOK" in played.errors[0]


def test_a_recorded_run_is_played_without_posting(receiver):
    """In replay nothing is posted: what was found was found long ago."""
    played = play(RUNS / "gemma-3-rl-finetuning-01.json", Always(), webhook())

    assert played.findings != ()
    assert receiver.bodies == []


@define(eq=False)
class Always:
    """Finds something at every check."""

    @hookimpl
    def diagnose(self, run, check):
        return Finding("always", "as ever", "critical")


def test_it_can_be_pickled_and_copied_with_messages_waiting(receiver):
    """Options go along; the queue and the thread stay with the original, which delivers everything once."""
    receiver.open.clear()
    hook = webhook(labels={"run": "r1"}, flush_seconds=60.0)
    for step in (1, 2):
        hook.on_journaled(None, finding(step))

    copies = [pickle.loads(pickle.dumps(hook)), copy.deepcopy(hook), copy.copy(hook)]

    receiver.open.set()
    for other in copies:
        assert (other.url, other.labels, other.flush_seconds) == (hook.url, {"run": "r1"}, 60.0)
        other.on_train_end(None)
    hook.on_train_end(None)
    copies[0].on_journaled(None, finding(3))
    copies[0].on_train_end(None)
    assert steps(receiver) == [1, 2, 3]


def test_no_global_random_number_is_drawn(receiver):
    """The waits are drawn from a generator of its own."""
    random.seed(1)
    before = random.getstate()
    receiver.answers = [(500, {}), (500, {})]
    hook = webhook(first_wait=0.001, flush_seconds=60.0)
    hook.on_journaled(None, finding(1))
    hook.on_train_end(None)

    assert random.getstate() == before
    assert steps(receiver) == [1, 1, 1]


def test_it_declares_that_it_acts_outside_the_run():
    """Replay leaves it out by this, unless it is asked for."""
    assert Webhook.effects is True


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"queue_size": 0}, "queue_size"),
        ({"timeout": 0.0}, "timeout"),
        ({"attempts": 0}, "attempts"),
        ({"first_wait": -1.0}, "first_wait"),
        ({"flush_seconds": -1.0}, "flush_seconds"),
        ({"text_field": ""}, "text_field"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, expected):
    """Each says which option is wrong and what is expected."""
    with pytest.raises(ValueError, match=expected):
        webhook(**options)
