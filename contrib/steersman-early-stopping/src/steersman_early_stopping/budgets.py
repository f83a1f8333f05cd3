"""Which budgets of a run are spent, and which cannot be counted."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen


@frozen
class Budgets:
    """Hours of training and tokens of `ledger` after which to stop; None is no limit."""

    max_hours: float | None
    max_tokens: int | None
    ledger: str

    def spent(self, elapsed: float | None, tokens: int) -> Iterator[str]:
        """Yield a sentence for each budget that is spent, the same from then on. `elapsed` is in seconds."""
        if self.max_hours is not None and elapsed is not None and elapsed >= 3600 * self.max_hours:
            yield f"the budget of {self.max_hours:g} hours is spent"
        if self.max_tokens is not None and tokens >= self.max_tokens:
            yield f"the budget of {self.max_tokens:,} tokens ({self.ledger}) is spent"

    def uncounted(self, elapsed: float | None, tokens: int) -> Iterator[str]:
        """Yield a sentence for each budget that nothing in the logs of a run counts against."""
        if self.max_hours is not None and elapsed is None:
            yield f"max_hours {self.max_hours:g} was never judged: the logs of this run have no time"
        if self.max_tokens is not None and tokens == 0:
            yield f"max_tokens {self.max_tokens:,} was never judged: no log counted tokens ({self.ledger})"
