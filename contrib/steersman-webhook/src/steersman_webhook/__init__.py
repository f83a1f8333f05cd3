"""`webhook`: posts findings, changes, rollbacks, stops and errors as JSON to a URL."""

from steersman_webhook.strategy import Webhook

__all__ = ["Webhook"]
