"""What is posted, and what an answer means: functions of values."""

from __future__ import annotations

import json
import math
import random

import pytest
from steersman_webhook.message import kind_of, payload, sentence
from steersman_webhook.outbox import without
from steersman_webhook.posting import Answer, check_url, of_status, retry_after, wait_before

from steersman import JournalEntry


def proposal(action, verdict):
    """Return the entry of a proposal."""
    return JournalEntry("proposal", 7, {"strategy": "s", "action": action, "verdict": verdict, "because": "b"})


def test_a_stop_that_is_made_is_posted_and_one_that_is_only_wanted_is_not():
    """Accepted is made, advised and vetoed are not; a proposal to change something is told by its adjustment."""
    assert kind_of(proposal("stop", "accepted"), "warning") == "stop"
    assert kind_of(proposal("stop", "advised"), "warning") is None
    assert kind_of(proposal("adjust", "applied"), "warning") is None


def test_findings_of_at_least_the_severity_are_posted():
    """With `warning`, critical and warning pass and info does not; with `critical` only that passes."""
    passed = {
        least: [
            s for s in ("info", "warning", "critical") if kind_of(JournalEntry("finding", 1, {"severity": s}), least)
        ]
        for least in ("info", "warning", "critical")
    }

    assert passed == {
        "info": ["info", "warning", "critical"],
        "warning": ["warning", "critical"],
        "critical": ["critical"],
    }


@pytest.mark.parametrize("kind", ["adjustment", "rollback", "error"])
def test_what_was_done_or_went_wrong_is_posted_whatever_the_severity(kind):
    """A severity belongs to findings alone."""
    assert kind_of(JournalEntry(kind, 1, {}), "critical") == kind


@pytest.mark.parametrize("kind", ["record", "score", "check", "run", "note", "end", "effect"])
def test_other_entries_are_nothing(kind):
    """What is logged all the time is never posted."""
    assert kind_of(JournalEntry(kind, 1, {}), "info") is None


def test_the_payload_holds_the_entry_a_sentence_and_the_labels():
    """NaN and infinity are text, as in the journal, and the sentence is where Slack reads it."""
    data = {
        "strategy": "d",
        "name": "n",
        "severity": "critical",
        "message": "m",
        "evidence": {"a": math.nan, "b": -math.inf},
    }

    told = json.loads(payload(JournalEntry("finding", 3, data, 12.5), "finding", {"run": "llama"}, "text"))

    assert told == {
        "kind": "finding",
        "step": 3,
        "time": 12.5,
        "strategy": "d",
        "name": "n",
        "severity": "critical",
        "message": "m",
        "evidence": {"a": "NaN", "b": "-Infinity"},
        "labels": {"run": "llama"},
        "text": "steersman, step 3: d: critical: n: m [llama]",
    }


def test_a_traceback_is_not_posted():
    """It stays in the journal."""
    data = {"strategy": "s", "hook": "diagnose", "error": "ValueError: x", "trace": "File /home/me/secret.py"}

    told = payload(JournalEntry("error", 3, data), "error", {}, "text")

    assert "trace" not in json.loads(told)
    assert "/home/me" not in told


def test_the_sentences():
    """Each kind is one a person understands without the rest."""
    change = {"strategy": "s", "hyperparameter": "learning_rate", "old": 0.1, "new": 0.05, "because": "spike"}
    back = {"strategy": "s", "to_step": 40, "because": "diverged", "left": 2}

    assert (
        sentence("adjustment", 5, change) == "steersman, step 5: s changed learning_rate 0.1 -> 0.05 because of spike"
    )
    assert sentence("rollback", 5, back) == "steersman, step 5: s went back to step 40: diverged; 2 left"
    assert sentence("stop", 5, {"strategy": "s", "because": "done"}) == "steersman, step 5: s stops the run: done"
    failed = {"strategy": "s", "hook": "on_log", "error": "ValueError: x"}
    assert sentence("error", 5, failed) == "steersman, step 5: s failed in on_log: ValueError: x"


def test_the_address_is_taken_out_of_a_message():
    """The whole URL, and its path alone, as the errors of some libraries quote it."""
    url = "https://hooks.example.com/services/T0/B0/XYZ?k=1"

    body = without(json.dumps({"a": f"no {url}", "b": "GET /services/T0/B0/XYZ?k=1 failed", "c": "1/2"}), url)

    assert json.loads(body) == {"a": "no [webhook]", "b": "GET [webhook] failed", "c": "1/2"}
    assert without('{"a": "1/2"}', "https://example.com/") == '{"a": "1/2"}'


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (408, "retry"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
        (400, "refused"),
        (404, "refused"),
        (302, "refused"),
    ],
)
def test_what_a_status_means(status, verdict):
    """Server errors, timeouts and too many requests pass; what the sender did wrong does not change by repeating it."""
    assert of_status(status).verdict == verdict


def test_retry_after_in_seconds_or_as_a_date_and_at_most_a_minute():
    """RFC 9110: 7; a date 30 s after the clock; a day is a minute; the past is at once; nonsense is None."""
    date = "Thu, 01 Jan 1970 00:02:00 GMT"  # 120 seconds since 1970

    assert retry_after("7") == 7.0
    assert retry_after(date, now=90.0) == 30.0
    assert retry_after("86400") == 60.0
    assert retry_after(date, now=200.0) == 0.0
    assert retry_after("soon") is None
    assert retry_after(None) is None


def test_waits_double_and_are_bounded_and_jittered():
    """With 2 s at first the draws lie in 0..2, 0..4, 0..8, then 0..30; they are not all the same."""
    draw, retry = random.Random(1), Answer("retry")
    waits = {n: [wait_before(n, retry, 2.0, 30.0, draw) for _ in range(200)] for n in (1, 2, 3, 50, 5000)}

    for attempt, most in {1: 2.0, 2: 4.0, 3: 8.0, 50: 30.0, 5000: 30.0}.items():
        assert 0.8 * most < max(waits[attempt]) <= most
        assert 0.0 <= min(waits[attempt]) < 0.2 * most


def test_a_wait_is_never_shorter_than_the_server_asks():
    """Retry-After of 20 s beats a draw between 0 and 1."""
    assert wait_before(1, Answer("retry", after=20.0), 1.0, 30.0, random.Random(1)) == 20.0


@pytest.mark.parametrize("url", ["https://hooks.example.com/a", "http://localhost:8080/x?y=1", "http://[::1]:80/x"])
def test_addresses_that_can_be_posted_to(url):
    """https and http, with a host."""
    check_url(url, "HOOK")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://SECRET/x",
        "file:///SECRET",
        "SECRET",
        "https://",
        "https://h:SECRET/x",
        "https://u:SECRET@h/",
        "http://h/SECRET x",
    ],
)
def test_other_addresses_are_refused_and_not_quoted(url):
    """Any other scheme, no host, a bad port, a password, a space: the error names the variable, not what it holds."""
    with pytest.raises(ValueError, match="HOOK must hold a URL that begins with https:// or http://") as caught:
        check_url(url, "HOOK")

    assert "SECRET" not in str(caught.value)
