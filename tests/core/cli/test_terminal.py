"""What takes long says so on standard error, and what does not says nothing."""

from __future__ import annotations

import time

import pytest

from steersman.cli.terminal import patiently


@pytest.mark.parametrize(("seconds", "is_shown"), [(0.0, False), (0.3, True)])
def test_patience(capsys, monkeypatch, seconds, is_shown):
    """After its patience a spinner says what is done; it is gone in the end, and the result is not touched."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with patiently("Replaying [out]", patience=0.1):
        time.sleep(seconds)
    printed = capsys.readouterr()
    assert ("Replaying [out]" in printed.err) is is_shown
    assert printed.out == ""


def test_what_fails_meanwhile_is_raised():
    """An error comes through, and the spinner is taken away."""
    with pytest.raises(RuntimeError, match="broken"), patiently("Replaying", patience=60.0):
        raise RuntimeError("broken")
