"""`token-accounting`: tokens, seconds and samples of generation, backpropagation and the teacher API."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import define

from steersman import Check, Finding, Record, Run, Usage, Window, hookimpl, sketch, state

_EPOCHS = 128
_TITLES = {"generation": "Generated", "backpropagation": "Trained On", "teacher": "Sent To Teacher"}


def duration(seconds: float | None) -> str:
    """Return `2h 15m 30s (8130.5 seconds)`."""
    if seconds is None:
        return "not in this log"
    whole = int(seconds)
    return f"{whole // 3600}h {whole % 3600 // 60}m {whole % 60}s ({seconds:.1f} seconds)"


def add(ledger: dict[str, Any], usage: Usage) -> None:
    """Add one usage to a ledger. Rates are counted in a sketch: memory is bounded."""
    for name in ("tokens", "received", "seconds", "samples"):
        ledger[name] = ledger.get(name, 0) + getattr(usage, name)
    if usage.seconds > 0 and usage.tokens > 0:
        sketch.add(ledger.setdefault("rates", {}), usage.tokens / usage.seconds)


def close_epoch(ledger: dict[str, Any], epoch: int) -> None:
    """Add a line to the per-epoch breakdown: what came since the last (the newest 128 lines are kept)."""
    before = ledger.get("closed", [0, 0])
    now = [ledger["tokens"], ledger["received"]]
    line = [epoch, now[0] - before[0], now[1] - before[1]]
    ledger["closed"], ledger["epochs"] = now, [*ledger.get("epochs", []), line][-_EPOCHS:]


def figures(name: str, ledger: dict[str, Any], epochs: float | None) -> dict[str, float | str | None]:
    """Return every figure of a ledger; rates are tokens per second, None where no time was logged."""
    seconds = ledger["seconds"]
    told: dict[str, float | str | None] = {key: ledger[key] for key in ("tokens", "received", "seconds", "samples")}
    told["tokens_per_second"] = ledger["tokens"] / seconds if seconds else None
    told["received_per_second"] = ledger["received"] / seconds if seconds else None
    told["p99_tokens_per_second"] = sketch.quantile(ledger.get("rates", {}), 0.99)
    told["tokens_per_epoch"] = ledger["tokens"] / epochs if epochs else None
    told["received_per_epoch"] = ledger["received"] / epochs if epochs else None
    for epoch, tokens, received in ledger.get("epochs", []):
        told |= {f"epoch_{epoch}_tokens": tokens, f"epoch_{epoch}_received": received}
    return {f"{name}_{key}": value for key, value in told.items()}


def lines(name: str, ledger: dict[str, Any]) -> list[str]:
    """Return what a person reads of a ledger."""
    rate = f" ({ledger['tokens'] / ledger['seconds']:,.0f} tokens/s)" if ledger["seconds"] else ""
    said = [f"Total Tokens {_TITLES[name]}: {ledger['tokens']:,}{rate}"]
    if name == "teacher":
        rate = f" ({ledger['received'] / ledger['seconds']:,.0f} tokens/s)" if ledger["seconds"] else ""
        said.append(f"Total Tokens Received From Teacher: {ledger['received']:,}{rate}")
        said += [f"  epoch {e}: {sent:,} sent, {got:,} received" for e, sent, got in ledger.get("epochs", [])]
    return said


@define(eq=False)
class TokenAccounting:
    """Keep the three ledgers and report them when the run ends; duration adds up over resumes."""

    ledgers: dict[str, Any] = state({})

    logs_with_usage_only: ClassVar[bool] = True

    @hookimpl
    def on_log(self, run: Run, log: Record) -> None:
        for usage in log.usage:
            add(self.ledgers.setdefault(usage.ledger, {}), usage)

    @hookimpl
    def on_epoch_end(self, run: Run, window: Window) -> None:
        for ledger in self.ledgers.values():
            close_epoch(ledger, int((window.epoch or 0.0) + 1e-9))

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Finding | None:
        if check.reason != "end":
            return None
        evidence: dict[str, float | str | None] = {"duration_seconds": run.elapsed}
        said = [f"Training Duration: {duration(run.elapsed)}"]
        for name, ledger in self.ledgers.items():
            evidence |= figures(name, ledger, run.epoch)
            said += lines(name, ledger)
        return Finding("token-ledger", "\n".join(said), "info", evidence)
