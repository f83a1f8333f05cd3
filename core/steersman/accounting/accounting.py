"""Counts what a run takes, journals what it comes to, and sees to its budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steersman.accounting import accounts, budgets
from steersman.accounting.budgets import Budget
from steersman.accounting.ledgers import Ledgers, Prices
from steersman.journal import Journal
from steersman.rails import Mode
from steersman.ranks import Ranks
from steersman.records import Record, Usage
from steersman.run import Progress


class Accounting:
    """The ledgers of a run, with prices and budgets. In `observe` a spent budget is told, and stops nothing."""

    def __init__(
        self, ledgers: Ledgers, prices: Prices, budget: Budget, progress: Progress, journal: Journal, ranks: Ranks,
        mode: Mode,
    ) -> None:  # fmt: skip
        self.ledgers, self.prices, self.budget = ledgers, prices, budget
        self._progress, self._journal, self._ranks, self._mode = progress, journal, ranks, mode
        self.is_spent = False

    def hear(self, record: Record) -> None:
        """Add what a record took."""
        if record.usage or record.spent:
            self.ledgers.hear(record)

    def close_epoch(self) -> None:
        """Add a line to the breakdown by epochs."""
        self.ledgers.close_epoch(int((self._progress.epoch or 0.0) + 1e-9))

    def tell(self) -> None:
        """Journal what the ledgers come to, if anything came in since the last time."""
        if self.ledgers.has_news:
            self.ledgers.has_news = False
            told = self.accounts()
            self._journal.write(
                "tokens",
                self._progress.step,
                generation=told.get("generation"),
                backpropagation=told.get("backpropagation"),
                teacher=told.get("teacher"),
                elapsed=told["elapsed"],
                spent=told["spent"],
                cost=told["cost"],
                currency=told["currency"],
            )

    def accounts(self) -> dict[str, Any]:
        """Return every figure, as plain values."""
        progress = self._progress
        return accounts.of(self.ledgers, self.prices, epochs=progress.epoch, elapsed=progress.elapsed)

    def spent(self, elapsed: float | None = None, step: int | None = None, more: tuple[Usage, ...] = ()) -> str:
        """Return why the run must stop, or nothing; a budget that is spent is journaled once.

        Every rank must call this at the same facts. `elapsed` and `step` are the seconds of training and the steps
        finished now, where they are known; else they are those of the newest record. `more` was not logged yet.
        """
        if self.is_spent or not self.budget.is_set:
            return ""
        now = self._progress.elapsed if elapsed is None else elapsed
        ledgers = self.ledgers.with_more(more) if more else self.ledgers
        found = self._ranks.agree(lambda: budgets.spent(self.budget, ledgers, self.prices, now))
        if found is None:
            return ""
        self.is_spent, stops = True, self._mode != "observe"
        self._journal.write(
            "budget",
            self._progress.step if step is None else step,
            budget=found.budget,
            limit=found.limit,
            taken=found.taken,
            unit=found.unit,
            because=found.because,
            stops=stops,
        )
        return found.because if stops else ""

    def save(self) -> dict[str, Any]:
        """Return what a checkpoint must carry."""
        return self.ledgers.save()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take back what `save` returned."""
        self.ledgers.restore(saved)
