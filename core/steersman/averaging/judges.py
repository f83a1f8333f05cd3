"""Who judges the averages of a run that is over: its own strategies, asked again, beside its own ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from steersman.averaging.candidates import Candidate
from steersman.averaging.layouts import NotAveraged
from steersman.checkpoints import Checkpoint, Evaluations
from steersman.config import Config, ConfigError, read
from steersman.decisions import Average
from steersman.dispatch import Dispatch
from steersman.examples import ExampleLosses, kept_of
from steersman.explain import ranking_told
from steersman.failing import Failure, told
from steersman.hindsight import saved_told
from steersman.history import WritableHistory
from steersman.journal import Journal, JournalEntry
from steersman.late.recording import append
from steersman.lifetime import begin_of
from steersman.loading import load, register
from steersman.ranking import Ranking
from steersman.ranks import OneProcess
from steersman.readers.journal import current
from steersman.readers.run_directory import checkpoints, find_journal
from steersman.registry import Registry
from steersman.replaying import replay
from steersman.run import Progress, Run
from steersman.schedule import RunPlan
from steersman.scoring import Scoring
from steersman.whereabouts import Whereabouts, folder_of
from steersman.windows import Windows


@define(eq=False)
class Judged:
    """A run that is over, with its ranking and its strategies. `proposed` are averages of its journal."""

    folder: Path
    journal: Path | None
    scoring: Scoring
    proposed: tuple[tuple[str, Average], ...]
    said: tuple[str, ...]
    failed: list[Failure]
    unusable: Mapping[int, str]
    lines: list[JournalEntry] = field(factory=list[JournalEntry])

    def candidates(self, given: Sequence[Average], use: Sequence[object]) -> tuple[Candidate, ...]:
        """Return what is to be averaged: what is `given`, else what is proposed. Raises NotAveraged for nothing."""
        if given:
            proposed = tuple(("by hand", average) for average in given)
        elif use or not self.proposed:
            proposed = _asked(use or ["averaged"], self.scoring.run)
        else:
            proposed = self.proposed
        if not proposed:
            there = ", ".join(map(str, self.scoring.ranking.there())) or "none"
            raise NotAveraged(f"nothing proposes an average of {self.folder}; saved and there: steps {there}")
        return tuple(Candidate(self.scoring, strategy, average) for strategy, average in proposed)

    def places(self, candidate: Candidate) -> tuple[Path, ...]:
        """Return where its checkpoints lie. Raises NotAveraged where one is gone, or lies there and cannot be read."""
        for step in candidate.average.steps:
            if step in self.unusable:
                raise NotAveraged(f"the checkpoint of step {step} {self.unusable[step]}")
        return candidate.places()

    def judge(self, candidate: Candidate, metrics: Mapping[str, float], goal: Path) -> Checkpoint:
        """Score an average by its metrics, rank it, and add its line to the journal of the run."""
        made = candidate.judge(metrics, goal)
        if self.journal is not None:
            line = self.lines[-1]
            append(self.journal, lambda journal: journal.write(line.kind, line.step, **line.data))
        return made

    def can_score(self, made: Checkpoint) -> bool:
        """Whether the strategy whose ranking decides has an opinion on an average."""
        return self.scoring.ranking.leader in made.scores

    def ranked(self) -> tuple[Checkpoint, ...]:
        """Return every checkpoint that may be best, best first."""
        return self.scoring.ranking.ranked()

    def bar(self) -> float | None:
        """Return the score of the best checkpoint that is there and no average: what an average must beat."""
        there, ranking = self.scoring.ranking.there(), self.scoring.ranking
        best = ranking.best(where=lambda c: not c.averaged and c.step in there)
        return best.scores[ranking.leader or ""].value if best is not None else None

    def failures(self) -> tuple[str, ...]:
        """Return a sentence for each strategy that failed."""
        return tuple(f"{f.loaded.name} failed: {told(f.error)}." for f in self.failed)


def judged(place: Path) -> Judged:
    """Return the run at `place` with those who judge its averages.

    Raises UnreadableRun where there is none, ConfigError where the config of one never supervised is none.
    """
    journal = find_journal(place) if place.exists() else None
    problems: list[str] = []
    if journal is not None:
        entries: Sequence[JournalEntry] = current(journal)
        begin = begin_of(entries)
        source = Path(str(begin.get("config_source", "")))
        config = read(begin.get("config"), problems, folder=source.parent if source.is_file() else None, environment={})
        problems.clear()  # those of the strategies are told below
        ranking = ranking_told(entries, problems)
    else:
        made = replay(place)
        entries, config, ranking = made.recording.decisions, made.config, made.ranking
    folder = folder_of(place, journal)
    ranking.saved, unusable = _places(folder, entries, ranking)
    failed, lines = list[Failure](), list[JournalEntry]()
    strategies = load(config, problems)
    step = max((entry.step for entry in entries), default=0) or max((c.step for c in ranking.all()), default=0)
    run = _run(ranking, config, step)
    quiet = Journal(None)
    quiet.subscribers.append(lines.append)
    dispatch = Dispatch(register(strategies), strategies, failed.append)
    examples = kept_of(folder) if journal is not None else ExampleLosses()
    scoring = Scoring(run, WritableHistory(), ranking, dispatch, OneProcess(), quiet, Evaluations(), "", examples)
    proposed = tuple(
        (str(e.data["strategy"]), Average(e.data["steps"], e.data.get("leeway", 0.0)))
        for e in entries
        if e.kind == "average"
    )
    return Judged(folder, journal, scoring, proposed, tuple(f"{p}." for p in problems), failed, unusable, lines)


def _places(folder: Path, entries: Iterable[JournalEntry], ranking: Ranking) -> tuple[dict[int, str], dict[int, str]]:
    """Return where the checkpoints lie, by step, wherever the run was moved to; and why others cannot be used."""
    told = list(entries)
    there = Whereabouts.of(folder, told)
    saved = {**checkpoints(folder), **saved_told(told)} if folder.is_dir() else saved_told(told)
    known = {step: ranking.at(step) or Checkpoint(step, None, {}, None) for step in saved}
    found = {step: there.place(evolve(c, path=saved[step])) for step, c in known.items()}
    fates = {step: there.fate(evolve(c, path=saved[step])) for step, c in known.items() if found[step] is None}
    unusable = {step: fate for step, fate in fates.items() if fate.startswith("cannot be used")}
    return {step: str(place) for step, place in sorted(found.items()) if place is not None}, unusable


def _run(ranking: Ranking, config: Config, step: int) -> Run:
    progress = Progress(step)
    return Run(WritableHistory(), Windows(), ranking, Registry(), progress, RunPlan(), config.mode, replaying=True)


def _asked(use: Sequence[object], run: Run) -> tuple[tuple[str, Average], ...]:
    problems: list[str] = []
    raw: dict[str, Any] = {"use": list(use)}
    strategies = load(read(raw, problems, environment={}), problems)
    failed: list[Failure] = []
    proposed = Dispatch(register(strategies), strategies, failed.append).averages(run)
    problems += [f"{f.loaded.name} failed: {told(f.error)}" for f in failed]
    if problems:
        raise ConfigError("what proposes averages", problems)
    return proposed
