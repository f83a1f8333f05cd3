"""A reporter that fails is said once, rests after three failures, and raises nothing."""

from __future__ import annotations

from steersman.journal import JournalEntry
from steersman.reporters.isolation import isolated
from steersman.secrets import Secret


class Failing:
    def __init__(self):
        self.heard = []

    def hear(self, entry):
        self.heard.append(entry.step)
        raise OSError(28, "No space left on device")


def test_a_failing_reporter_is_said_once_and_rests(logs):
    """Of five entries it hears three, and one error is logged, with its name."""
    failing = Failing()
    hear = isolated(failing.hear)

    for step in range(5):
        hear(JournalEntry("note", step, {}))

    assert failing.heard == [0, 1, 2]
    assert [(log["log_level"], log["reporter"]) for log in logs] == [("error", "Failing")]
    said = "Failing of steersman failed (OSError: [Errno 28] No space left on device); training goes on"
    assert logs == [{"event": said, "log_level": "error", "reporter": "Failing"}]


def test_what_a_failing_reporter_says_holds_no_secret(logs, monkeypatch):
    """An exception that quotes a revealed secret and a URL is told in one line with neither, and no traceback."""
    monkeypatch.setenv("TRACKER_KEY", "hush-0123456789")
    Secret("TRACKER_KEY").reveal()

    def hear(entry):
        raise ValueError("key hush-0123456789\nis refused by https://me:pa55word@host/api?token=t0ken")

    isolated(hear)(JournalEntry("note", 1, {}))

    [log] = logs
    assert log["event"] == (
        "function of steersman failed (ValueError: key *** is refused by https://host/api); training goes on"
    )
    assert "exc_info" not in log


def test_a_sound_reporter_hears_all():
    """One that never fails hears every entry in order."""
    heard = []
    hear = isolated(lambda entry: heard.append(entry.step))

    for step in range(5):
        hear(JournalEntry("note", step, {}))

    assert heard == [0, 1, 2, 3, 4]
