"""Keeps the plain test run short: of each contract the first set of options is tried, the others in the slow pass.

Within the folder of a distribution all of them are tried, for this file is above it.
"""

from __future__ import annotations

import pytest

from steersman.testing import StrategyContract


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what tries a contract on any but its first set of options as slow."""
    first: dict[object, str] = {}
    for item in items:
        cls = getattr(item, "cls", None)
        if cls is None or not issubclass(cls, StrategyContract) or not hasattr(item, "callspec"):
            continue
        tried = str(item.callspec.id)
        if first.setdefault((cls, item.originalname), tried) != tried:
            item.add_marker(pytest.mark.slow)
