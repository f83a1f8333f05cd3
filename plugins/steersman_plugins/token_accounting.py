"""`token-accounting`: tokens, seconds and samples of generation, backpropagation and the teacher API."""

from __future__ import annotations

import math
from typing import Any

from attrs import define

from steersman import Check, Finding, Record, Run, Usage, hookimpl, state

RELATIVE_ERROR = 0.01
"""How far the 99th percentile may be off: it comes from counts in buckets that grow by 2 % each."""
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


def duration(seconds: float | None) -> str:
    """Return `2h 15m 30s (8130.5 seconds)`."""
    if seconds is None:
        return "not in this log"
    whole = int(seconds)
    return f"{whole // 3600}h {whole % 3600 // 60}m {whole % 60}s ({seconds:.1f} seconds)"


def add(ledger: dict[str, Any], usage: Usage) -> None:
    """Add one usage to a ledger. Rates are counted in buckets (DDSketch, Masson et al. 2019): memory is bounded."""
    for name in ("tokens", "received", "seconds", "samples"):
        ledger[name] = ledger.get(name, 0) + getattr(usage, name)
    if usage.seconds > 0 and usage.tokens > 0:
        bucket = str(math.ceil(math.log(usage.tokens / usage.seconds, _GROWTH)))
        rates = ledger.setdefault("rates", {})
        rates[bucket] = rates.get(bucket, 0) + 1


def p99(ledger: dict[str, Any]) -> float | None:
    """Return the 99th percentile of tokens per second over the intervals logged, within 1 %."""
    rates = sorted((int(bucket), count) for bucket, count in ledger.get("rates", {}).items())
    rank, seen = 0.99 * sum(count for _, count in rates), 0
    for bucket, count in rates:
        seen += count
        if seen >= rank:
            return 2 * _GROWTH**bucket / (_GROWTH + 1)
    return None


@define(eq=False)
class TokenAccounting:
    """Keep the three ledgers and report them when the run ends; duration adds up over resumes."""

    ledgers: dict[str, Any] = state({})

    @hookimpl
    def on_log(self, run: Run, log: Record) -> None:
        for usage in log.usage:
            add(self.ledgers.setdefault(usage.ledger, {}), usage)

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Finding | None:
        if check.reason != "end":
            return None
        evidence: dict[str, float | str | None] = {"duration_seconds": run.elapsed}
        lines = [f"Training Duration: {duration(run.elapsed)}"]
        for name, ledger in self.ledgers.items():
            rate = ledger["tokens"] / ledger["seconds"] if ledger["seconds"] else None
            evidence |= {f"{name}_{key}": ledger[key] for key in ("tokens", "received", "seconds", "samples")}
            evidence |= {f"{name}_tokens_per_second": rate, f"{name}_p99_tokens_per_second": p99(ledger)}
            title = {"generation": "Generated", "backpropagation": "Trained On", "teacher": "Sent To Teacher"}[name]
            lines.append(f"Total Tokens {title}: {ledger['tokens']:,}" + (f" ({rate:,.0f} tokens/s)" if rate else ""))
            if ledger["received"]:
                lines.append(f"Total Tokens Received From Teacher: {ledger['received']:,}")
        return Finding("token-ledger", "\n".join(lines), "info", evidence)
