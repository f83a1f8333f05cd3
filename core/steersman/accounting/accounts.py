"""What the ledgers come to, as plain values: one object for the journal, the summary, trackers and `--json`."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from steersman.accounting import sketch
from steersman.accounting.ledgers import Ledger, Ledgers, Prices

_OF_BACKPROPAGATION = ("input_tokens", "loss_tokens")
_OF_TEACHER = ("received", "cached_tokens", "retries", "errors", "cache_hits")


def of(ledgers: Ledgers, prices: Prices, *, epochs: float | None, elapsed: float | None) -> dict[str, Any]:
    """Return the figures of each ledger, the seconds of training, where time went besides, and the cost.

    `epochs` are those finished, for averages. Rates are tokens per second: over the run, over the newest interval
    between two logs, and the 99th percentile within 1 %; None where no time or no epoch is known. A cost is None where
    nothing has a price.
    """
    told: dict[str, Any] = {name: _figures(ledger, prices, epochs) for name, ledger in ledgers.items()}
    return {
        **told,
        "elapsed": elapsed,
        "spent": dict(ledgers.spent),
        "cost": ledgers.cost(prices) if prices.are_set else None,
        "currency": prices.currency,
    }


def _figures(ledger: Ledger, prices: Prices, epochs: float | None) -> dict[str, Any]:
    total, newest = ledger.total, ledger.interval
    seconds, is_teacher = total.seconds, total.ledger == "teacher"
    names = _OF_TEACHER if is_teacher else _OF_BACKPROPAGATION if total.ledger == "backpropagation" else ()
    told: dict[str, Any] = {
        **{name: getattr(total, name) for name in ("tokens", *names, "samples", "seconds", "unknown")},
        "tokens_per_second": ledger.tokens_per_second,
        "interval_tokens_per_second": newest.tokens / newest.seconds if newest.seconds else None,
        "p99_tokens_per_second": sketch.quantile(total.rates, 0.99),
        "tokens_per_epoch": total.tokens / epochs if epochs else None,
    }
    if is_teacher:
        told |= {
            "received_per_second": total.received / seconds if seconds else None,
            "p99_received_per_second": sketch.quantile(total.received_rates, 0.99),
            "received_per_epoch": total.received / epochs if epochs else None,
            "median_latency": sketch.quantile(total.latencies, 0.5),
            "p99_latency": sketch.quantile(total.latencies, 0.99),
        }
    cost = prices.of(total.ledger, total) if prices.are_set else None
    return {**told, "cost": cost, "epochs": [asdict(line) for line in ledger.epochs]}
