"""What a person reads of the ledgers: one block, whole numbers with thousands separators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steersman.accounting.ledgers import LEDGERS

_EPOCHS_TOLD = 12
"""How many of the newest epochs are told a line each."""


def lines(accounts: Mapping[str, Any]) -> list[str]:
    """Return the block of what `steersman.accounting.accounts.of` returned."""
    told = [f"Training Duration: {duration(accounts['elapsed'])}", *_spent(accounts["spent"])]
    if "generation" in accounts:
        ledger = accounts["generation"]
        told += [f"Total Tokens Generated: {_tokens(ledger)}", *_epochs(ledger)]
    if "backpropagation" in accounts:
        ledger = accounts["backpropagation"]
        told += [f"Total Tokens Trained On: {_tokens(ledger)}", *_kinds(ledger), *_epochs(ledger)]
    if "teacher" in accounts:
        ledger = accounts["teacher"]
        told += [
            f"Total Tokens Sent To Teacher: {_tokens(ledger)}",
            f"Total Tokens Received From Teacher: {_tokens(ledger, 'received')}",
            *_calls(ledger),
            *_epochs(ledger),
        ]
    if accounts["cost"] is not None:
        each = [f"{name} {accounts[name]['cost']:,.4f}" for name in LEDGERS if name in accounts]
        told.append(f"Total Cost: {accounts['cost']:,.4f} {accounts['currency']} ({', '.join(each)})")
    return told


def duration(seconds: float | None) -> str:
    """Return `2h 15m 30s (8130.5 seconds)`."""
    return "not in this log" if seconds is None else f"{_clock(seconds)} ({seconds:.1f} seconds)"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}h {whole % 3600 // 60}m {whole % 60}s"


_SPENT = {
    "evaluation": "Evaluation: {} of it",
    "checkpointing": "Checkpointing: {} of it",
    "redone": "Lost To Restarts: {} before it, of steps that were made again",
    "down": "Between Its Processes: {} beside it",
}


def _spent(spent: Mapping[str, float]) -> list[str]:
    return [f"  {text.format(duration(spent[what]))}" for what, text in _SPENT.items() if what in spent]


def _tokens(ledger: Mapping[str, Any], name: str = "tokens") -> str:
    rate, fastest = ledger[f"{name}_per_second"], ledger[f"p99_{name}_per_second"]
    said = f"{ledger[name]:,}" + (f" ({rate:,.0f} tokens/s" if rate is not None else "")
    if rate is not None:
        said += f", p99 {fastest:,.0f})" if fastest is not None else ")"
    if name != "tokens":
        return said
    took = f" in {_clock(ledger['seconds'])}" if ledger["seconds"] else ""
    return f"{said}; {ledger['samples']:,} {_SAMPLES.get('received' in ledger, 'sequences')}{took}"


_SAMPLES = {True: "answers"}


def _kinds(ledger: Mapping[str, Any]) -> list[str]:
    said = [f"{ledger['input_tokens']:,} with padding"] if ledger["input_tokens"] else []
    said += [f"{ledger['loss_tokens']:,} bear loss"] if ledger["loss_tokens"] else []
    said += [f"{ledger['unknown']:,} batches of unknown size"] if ledger["unknown"] else []
    return [f"  {', '.join(said)}"] if said else []


def _calls(ledger: Mapping[str, Any]) -> list[str]:
    counts = [f"{ledger[name]:,} {word}" for name, word in _CALLS.items() if ledger[name]]
    if ledger["median_latency"] is not None:
        counts.append(f"latency {ledger['median_latency']:.3g} s (median), {ledger['p99_latency']:.3g} s (p99)")
    return [f"  {', '.join(counts)}"] if counts else []


_CALLS = {
    "retries": "retries",
    "errors": "errors",
    "cache_hits": "answers from a cache",
    "cached_tokens": "tokens sent that the provider had cached",
    "unknown": "answers without a usage",
}


def _epochs(ledger: Mapping[str, Any]) -> list[str]:
    if ledger["tokens_per_epoch"] is None:
        return []
    is_teacher = "received" in ledger
    mean = f"{ledger['tokens_per_epoch']:,.0f}" + (
        f" sent, {ledger['received_per_epoch']:,.0f} received" if is_teacher else ""
    )
    told = [f"  on average per epoch: {mean}"]
    for line in ledger["epochs"][-_EPOCHS_TOLD:]:
        what = f"{line['tokens']:,}" + (f" sent, {line['received']:,} received" if is_teacher else "")
        told.append(f"  epoch {line['epoch']}: {what}")
    return told
