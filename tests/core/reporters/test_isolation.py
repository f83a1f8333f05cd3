"""A reporter that fails is said once, rests after three failures, and raises nothing."""

from __future__ import annotations

from steersman.journal import JournalEntry
from steersman.reporters.isolation import isolated


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
    assert "No space left on device" in str(logs[0]["exc_info"])


def test_a_sound_reporter_hears_all():
    """One that never fails hears every entry in order."""
    heard = []
    hear = isolated(lambda entry: heard.append(entry.step))

    for step in range(5):
        hear(JournalEntry("note", step, {}))

    assert heard == [0, 1, 2, 3, 4]
