"""A strategy as it runs: its name in this run, the object, where it came from, and what it declares of itself."""

from __future__ import annotations

from typing import Any, Literal, get_args

from attrs import field, frozen

OnError = Literal["quarantine", "raise", "stop"]
ON_ERROR: tuple[str, ...] = get_args(OnError)
RESERVED = ("on_error", "time_budget")
"""Keys that stand beside the options of every strategy in `use:`, and that no option may therefore be called."""


@frozen
class Source:
    """Where a strategy came from: an installed distribution, a file with the hash of its content, or an object.

    `text` says it in words.
    """

    text: str
    distribution: str | None = None
    version: str | None = None
    file: str | None = None
    sha256: str | None = None


@frozen
class Loaded:
    """A strategy of a run. `strategy` is None on the ranks that do not ask it.

    `time_budget` is how many seconds a hook of it may take, None without limit; `effects` whether it acts outside the
    run, `needs_snapshots` whether it may propose a Rollback, `scores_late` whether it scores by a checkpoint's metrics
    alone and is asked again when one comes late, `hooks` those it implements. `logs_with_usage_only` is whether its
    `on_log` looks only at logs that tell of tokens, so that it is asked of no others; `is_given` whether it was given
    in Python as an object.
    """

    name: str
    strategy: object | None
    source: Source
    target: str = ""
    options: dict[str, Any] = field(factory=dict[str, Any])
    on_error: OnError = "quarantine"
    time_budget: float | None = None
    effects: bool = False
    needs_snapshots: bool = False
    scores_late: bool = False
    logs_with_usage_only: bool = False
    is_given: bool = False
    hooks: frozenset[str] = frozenset()

    @property
    def origin(self) -> str:
        """Where it came from, in words."""
        return self.source.text

    @property
    def is_scorer(self) -> bool:
        """Whether it scores: what it remembers is worth nothing once scores cannot be compared."""
        return "score_checkpoint" in self.hooks

    def elsewhere(self) -> Loaded:
        """Return what the ranks that do not ask it need to know of it."""
        return self.with_strategy(None)

    def with_strategy(self, strategy: object | None) -> Loaded:
        """Return the same with another object to ask."""
        return Loaded(
            self.name, strategy, self.source, self.target, self.options, self.on_error, self.time_budget, self.effects,
            self.needs_snapshots, self.scores_late, self.logs_with_usage_only, self.is_given, self.hooks,
        )  # fmt: skip
