"""A secret comes from the environment, and nothing that is printed, pickled or journaled holds it."""

from __future__ import annotations

import json
import pickle

import pytest
from attrs import asdict, define

from steersman import Secret, hookimpl
from steersman.config import read
from steersman.journal import Journal
from steersman.journal import read as entries_of
from steersman.loading import load
from steersman.secrets import address, masked

TEXT = 'sec"ret-überall'


@define(eq=False)
class Posts:
    """Has a secret option, and fails with it in its message."""

    token: Secret

    @hookimpl
    def on_log(self):
        raise RuntimeError(f"401 for https://example.org/?key={self.token.reveal()}")


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("POSTS_TOKEN", TEXT)


def problems_of(options):
    problems = []
    config = read({"use": [{f"{__file__}:Posts": options}]})
    load(config, problems)
    return problems


def test_a_secret_shows_its_name_only(token):
    """Its representation, its fields and its pickle hold the name of the variable, and revealing it the text."""
    secret = Secret("POSTS_TOKEN")
    assert secret.reveal() == TEXT
    for shown in (repr(secret), str(secret), repr(asdict(secret)), repr(pickle.dumps(secret))):
        assert "POSTS_TOKEN" in shown
        assert "ret-" not in shown


@pytest.mark.parametrize("given", ["xoxb-1234", {"env": "A", "b": 1}, {"env": 3}, 7, None, {"name": "A"}])
def test_a_config_names_the_variable(given):
    """Anything but `{env: NAME}` is an error that does not repeat what was given: it may be the secret."""
    (problem,) = problems_of({"token": given})
    assert problem.endswith(
        "token: is a secret: give the environment variable that holds it, {env: NAME}, not the secret itself"
    )


@pytest.mark.parametrize("text", [None, ""])
def test_a_variable_that_is_not_set(monkeypatch, text):
    """A variable that is missing or empty is an error with its name, before training."""
    monkeypatch.delenv("POSTS_TOKEN", raising=False)
    if text is not None:
        monkeypatch.setenv("POSTS_TOKEN", text)
    (problem,) = problems_of({"token": {"env": "POSTS_TOKEN"}})
    assert problem.endswith(".token: the environment variable POSTS_TOKEN is not set")


def test_no_journal_line_holds_a_secret(token, supervise, tmp_path, caplog):
    """An exception that quotes the secret is journaled and logged with a mask in its place, trace included."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.open()
    run = supervise(Posts(Secret("POSTS_TOKEN")), journal=journal, config={"console": False})
    run.train(1, loss=1.0)
    journal.close()
    (error,) = [entry for entry in entries_of(journal.path) if entry.kind == "error"]
    assert error.data["error"] == "RuntimeError: 401 for https://example.org/?key=***"
    written = journal.path.read_text(encoding="utf-8")
    assert "ret-" not in written
    assert "key=***" in caplog.text
    assert "ret-" not in caplog.text
    assert all(json.loads(line) for line in written.splitlines())


def test_what_a_config_holds_of_a_secret_is_its_name(token):
    """The options that a run journals hold `{env: NAME}`."""
    config = read({"use": [{f"{__file__}:Posts": {"token": {"env": "POSTS_TOKEN"}}}]})
    (loaded,) = load(config, [])
    assert loaded.options == {"token": {"env": "POSTS_TOKEN"}}
    assert loaded.strategy.token.reveal() == TEXT


def test_a_short_secret_masks_no_words(monkeypatch, supervise):
    """A secret of fewer than eight characters is found in ordinary words, so nothing is masked because of it."""
    monkeypatch.setenv("POSTS_TOKEN", "value")
    assert Secret("POSTS_TOKEN").reveal() == "value"
    run = supervise(Posts(Secret("POSTS_TOKEN")))
    run.supervisor.note("the values of a run")
    assert run.of("note")[-1].data["message"] == "the values of a run"


def test_what_is_masked_keeps_its_shape(token):
    """Tuples stay tuples and tables tables, whatever is masked in them."""
    Secret("POSTS_TOKEN").reveal()
    assert masked({"a": (TEXT, 1), "b": [f"x{TEXT}", None]}) == {"a": ("***", 1), "b": ["x***", None]}


def test_a_secret_in_a_name_or_a_reason(token, supervise):
    """A secret that is a key is masked as a value is, and so is one in the reason of a stop, wherever that is kept."""
    Secret("POSTS_TOKEN").reveal()
    assert masked({TEXT: 1.0}) == {"***": 1.0}
    run = supervise(Posts(Secret("POSTS_TOKEN")))
    run.supervisor.actions.stop(f"no answer for {TEXT}")
    assert run.supervisor.actions.stop_because == "no answer for ***"
    assert "ret-" not in repr(run.supervisor.save())


def test_a_secret_for_a_name_is_not_repeated():
    """What was given in place of the name of a variable may be the secret."""
    (problem,) = problems_of({"token": {"env": "https://example.org/?key=abc"}})
    assert "example.org" not in problem


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pa55word@h:8/v1?key=sk-INURL#f", "http://h:8/v1"),
        ("HTTPS://user@h/v1", "HTTPS://h/v1"),
        ("http://user:pa/55@word@h/v1", "http://h/v1"),
        ("user:pa55word@h/v1?key=sk-INURL", "h/v1"),
        ("http://h/v1?mail=a@b", "http://h/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
    ],
)
def test_a_url_without_what_may_be_secret(url, shown):
    """User info, query and fragment are left out, and nothing else."""
    assert address(url) == shown
