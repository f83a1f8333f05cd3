"""The kit stands alone."""

from __future__ import annotations

import importlib.metadata
import sys

import pytest


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks which distributions are installed fails."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("somebody looked for what is installed")

    monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
    for module in ("steersman.loading", "steersman.config.reading"):
        monkeypatch.setattr(sys.modules[module], "entry_points", refuse, raising=False)
