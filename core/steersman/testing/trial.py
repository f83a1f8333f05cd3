"""A run that was played to a strategy, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from steersman.journal import JournalEntry
from steersman.testing.played import failure
from steersman.testing.said import Said, first_difference, said_by
from steersman.testing.stage import Stage


@define(eq=False)
class Trial:
    """A run that was played to a strategy; `name` is what it is called in it."""

    stage: Stage
    entries: list[JournalEntry] = field(repr=False)

    @property
    def name(self) -> str:
        return self.stage.strategies[0].name

    @property
    def problems(self) -> tuple[str, ...]:
        return self.stage.problems

    @property
    def strategy(self) -> object:
        return self.stage.strategies[0].strategy

    def failures(self, *, of_type: bool) -> dict[tuple[int, str], str]:
        """Return a sentence for each step and hook of a failure: what it may not return (`of_type`), or all others."""
        own = (e for e in self.entries if e.kind == "error" and e.data["strategy"] == self.name)
        return {(e.step, e.data["hook"]): failure(e) for e in own if _is_wrong_type(e) is of_type}

    def difference(self, other: Trial, who: str) -> str:
        """Return a sentence for the first thing that is said in one run and not in the other, or nothing."""
        found = first_difference(tuple(self.said()), tuple(other.said()))
        if found is None:
            return ""
        was, now = (said.words if said else "said nothing" for said in found)
        step, hook = next((said.step, said.hook) for said in found if said is not None)
        return f"{self.name} {was} in {hook} at step {step}, and {who} {now}"

    def said(self) -> Iterator[Said]:
        """Return every score, finding, proposal and veto of the strategy."""
        return said_by(self.name, self.entries)


def _is_wrong_type(entry: JournalEntry) -> bool:
    told = str(entry.data["error"])
    return told.startswith("TypeError: returned ") and not told.startswith("TypeError: returned a score of")
