"""A run hears late scores at its checks: the ranking takes them, and who scores by metrics alone is asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen

from steersman import summary
from steersman.decisions import Score
from steersman.journal import Journal, JournalEntry, attempts_of, parsed
from steersman.journaling import journal_late, journal_scores
from steersman.late.entries import AFTER_THE_END, LateScore, left_unheard, newest_by_step, recorded_in
from steersman.readers.journal import standing
from steersman.scoring import Scoring
from steersman.spelling import nearest


class LateSource(Protocol):
    """Where a run hears of late scores; only rank 0 asks it."""

    def hear(self, step: int, reason: str) -> tuple[LateScore, ...]:
        """Return what came since the last time; `step` and `reason` are those of the check."""
        ...


@define
class RecordedLate:
    """What was heard in a run that is over, by the step and the reason of the check that heard it.

    Where it is looked at with checks at other steps, the first one after hears it.
    """

    heard: dict[tuple[int, str], tuple[LateScore, ...]] = field(factory=dict[tuple[int, str], "tuple[LateScore, ...]"])

    def hear(self, step: int, reason: str) -> tuple[LateScore, ...]:
        if not self.heard:
            return ()
        due = [at for at in self.heard if at[0] < step or (at[0] == step and reason in (at[1], "end"))]
        return tuple(late for at in due for late in self.heard.pop(at))

    def left(self) -> tuple[LateScore, ...]:
        """Return what no check has heard yet."""
        return tuple(late for scores in self.heard.values() for late in scores)


@define(eq=False)
class JournalLines:
    """The late scores that other processes append to the journal of a live run.

    Nothing is read while the file is as long as this run's own lines make it. A resumed run also hears what was
    recorded before and that no check heard.
    """

    journal: Journal
    resumed: bool = False
    _offset: int | None = None
    _written: int = 0

    _told_of: set[bytes] = field(factory=set[bytes])

    def hear(self, step: int, reason: str) -> tuple[LateScore, ...]:
        read = self._read()
        if read is None:
            return ()
        lines, self._offset, self._written = read
        if lines.wrong:
            self._complain(step, lines.wrong)
        return lines.scores

    def unheard(self) -> tuple[LateScore, ...]:
        """Return what the next check will hear, as far as it is there."""
        read = self._read()
        return read[0].scores if read is not None else ()

    def _read(self) -> tuple[_Lines, int, int] | None:
        """Return what came, and how far that is in the file and in what was written here; None where nothing can be
        read: it is read again at the next check.
        """
        size, written = self.journal.size(), self.journal.written
        if size is None or self.journal.path is None:
            return None
        begins = self._offset is None and self.resumed
        offset = self._offset if self._offset is not None else 0 if self.resumed else self.journal.opened_at
        if not begins and size - offset == written - self._written:  # nobody else wrote anything
            return _Lines(), size, written
        lines: list[bytes] = []
        try:
            with self.journal.path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    offset += len(line)
                    if any(word in line for word in (_WORDS if begins else _WORDS[:1])):
                        lines.append(line)
            return _understood(lines, self.journal.path, begins=begins), offset, written
        except (OSError, ValueError):
            return None

    def _complain(self, step: int, wrong: tuple[bytes, ...]) -> None:
        """Say once of each line that it was left out."""
        new = [line for line in dict.fromkeys(wrong) if line not in self._told_of]
        self._told_of.update(new)
        for line in new[:_TOLD]:
            message = f"a line in the journal that should be a late score is none, and is left out: {_shown(line)}"
            self.journal.write("note", step, message=message, severity="warning")
        if len(new) > _TOLD:
            message = f"{len(new) - _TOLD} more lines that should be late scores are left out"
            self.journal.write("note", step, message=message, severity="warning")


@frozen
class _Lines:
    """The late scores among lines of a journal, and the lines that should be some and are none."""

    scores: tuple[LateScore, ...] = ()
    wrong: tuple[bytes, ...] = ()


_TOLD = 3
"""How many lines that are left out are told at one check."""
_LONGEST = 120


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_WORDS = (b'"late_score"', b'"late_heard"', b'"run"')


def _understood(lines: Sequence[bytes], path: Path, *, begins: bool) -> _Lines:
    """Return the late scores among lines; where a run `begins`, those that no check of the run before has heard."""
    entries: list[JournalEntry] = []
    wrong: list[bytes] = []
    for number, line in enumerate(lines, 1):
        found = next(parsed(((number, line),), path), None)
        if found is None or (found.kind == "late_score" and not recorded_in((found,))):
            wrong += [line] if _WORDS[0] in line else []
        else:
            entries.append(found)
    if not begins:
        return _Lines(recorded_in(entries), tuple(wrong))
    runs = attempts_of(entries)
    return _Lines(left_unheard(standing(runs[-1])) if runs else (), tuple(wrong))


@define(eq=False)
class LateHearing:
    """Takes what `source` tells into the ranking, on every rank alike, and journals it."""

    scoring: Scoring
    source: LateSource | None = None

    def hear(self, step: int, reason: str) -> None:
        """Hear, before a check asks anybody, what came since the last. Every rank must call it."""
        source = self.source
        if source is not None:
            self._take(step, reason, self.scoring.ranks.agree(lambda: self._judged(source.hear(step, reason))))

    def unheard(self) -> dict[int, dict[str, float]]:
        """Return the metrics by step that the next check will hear; only rank 0 has a source that tells."""
        return newest_by_step(self.source.unheard()) if isinstance(self.source, JournalLines) else {}

    def hear_after(self, scores: tuple[LateScore, ...], never_came: Mapping[str, str | None]) -> dict[str, Any]:
        """Hear, once the run is over, what no check heard; return what that makes of its summary.

        `never_came` is what its summary says of the metrics that did not come.
        """
        if not scores:
            return {}
        self._take(self.scoring.run.step, AFTER_THE_END, self._judged(scores))
        ranking = self.scoring.ranking
        came = summary.came_late(ranking)
        absent = {name: near or nearest(name, came) for name, near in never_came.items() if name not in came}
        return {**summary.choices(ranking, self.scoring.examples.read()), "never_came": absent}

    def _judged(self, scores: tuple[LateScore, ...]) -> tuple[tuple[LateScore, ...], dict[int, dict[str, Score]]]:
        """Return what was heard, with the scores that those give by step who score by metrics alone."""
        given: dict[int, dict[str, Score]] = {}
        if not scores:
            return (), given
        for step, metrics in newest_by_step(scores).items():
            checkpoint = self.scoring.ranking.with_late(step, metrics)
            given[step] = self.scoring.dispatch.scores(self.scoring.run, checkpoint, late=True)
        return scores, given

    def _take(
        self, at: int, reason: str, judged: tuple[tuple[LateScore, ...], Mapping[int, Mapping[str, Score]]]
    ) -> None:
        scores, given = judged
        if not scores:
            return
        journal = self.scoring.journal
        journal_late(journal, at, reason, scores)
        for step, metrics in newest_by_step(scores).items():
            heard = self.scoring.ranking.hear_late(step, metrics, given[step])
            journal_scores(journal, heard, self.scoring.fingerprint, only=given[step], heard_at=at)
