"""`webhook` keeps the contract of strategies."""

from __future__ import annotations

import pytest
from steersman_webhook import Webhook

from steersman import Secret
from steersman.testing import StrategyContract


@pytest.mark.usefixtures("gone")
class TestWebhook(StrategyContract):
    @staticmethod
    def strategy() -> Webhook:
        """Return a webhook to a port that nothing listens on, which waits for nothing."""
        return Webhook(url=Secret("HOOK"), attempts=1, flush_seconds=0.0)
