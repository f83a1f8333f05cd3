"""`token-accounting`: tokens, seconds and samples of generation, backpropagation and the teacher API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from steersman import Check, Finding, Run, hookimpl
from steersman.accounting import accounts
from steersman.accounting.ledgers import LEDGERS
from steersman.reporters.accounts import lines


@define(eq=False)
class TokenAccounting:
    """Report the three ledgers when the run ends: what the run itself counted, over resumes."""

    @hookimpl
    def diagnose(self, run: Run, check: Check) -> Finding | None:
        if check.reason != "end":
            return None
        told = accounts.of(run.ledgers, run.prices, epochs=run.epoch, elapsed=run.elapsed)
        return Finding("token-ledger", "\n".join(lines(told)), "info", _evidence(told))


def _evidence(told: Mapping[str, Any]) -> dict[str, float | str | None]:
    """Return the figures under one name each: `teacher_tokens`, `teacher_epoch_1_tokens`, `evaluation_seconds`."""
    flat: dict[str, float | str | None] = {"duration_seconds": told["elapsed"]}
    flat |= {f"{what}_seconds": seconds for what, seconds in told["spent"].items()}
    if told["cost"] is not None:
        flat |= {"cost": told["cost"], "currency": told["currency"]}
    for name in LEDGERS:
        flat |= _of_ledger(name, told[name]) if name in told else {}
    return flat


def _of_ledger(name: str, figures: Mapping[str, Any]) -> dict[str, float | str | None]:
    flat = {f"{name}_{key}": value for key, value in figures.items() if key != "epochs"}
    for line in figures["epochs"]:
        flat |= {f"{name}_epoch_{line['epoch']}_{key}": value for key, value in line.items() if key != "epoch"}
    return flat
