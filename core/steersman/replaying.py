"""Feeds a finished run through the very same supervisor as a live one, hyperparameters kept on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from steersman.asking import Asking, one_or_several
from steersman.config import Config
from steersman.config.reading import Source
from steersman.control import Recorded
from steersman.history import WritableHistory
from steersman.journal import Journal, JournalEntry
from steersman.late.hearing import RecordedLate
from steersman.on_paper import on_paper
from steersman.ranking import Ranking
from steersman.readers import Recording
from steersman.readers import read as read_run
from steersman.readers.locating import located
from steersman.readers.recording import plan_of
from steersman.records import Record, kind_of
from steersman.results.run import Choice, FindingMade, ProposalMade, ReplayedRun, ScoreGiven
from steersman.run import Progress
from steersman.snapshots import OnPaperSnapshots, Recovery
from steersman.supervisor import Supervisor

if TYPE_CHECKING:
    from pandas import DataFrame


@frozen
class Replay:
    """What the strategies would have said of a finished run.

    Metrics after a change that never happened are not predicted. `left_out` names strategies that act outside.
    """

    recording: Recording
    config: Config
    entries: tuple[JournalEntry, ...]
    summary: Mapping[str, Any]
    left_out: tuple[str, ...]
    ranking: Ranking

    def of(self, kind: str) -> tuple[JournalEntry, ...]:
        """Return the entries of one kind: `score`, `finding`, `proposal`, `error`, ..."""
        return tuple(entry for entry in self.entries if entry.kind == kind)

    @cached_property
    def told(self) -> ReplayedRun:
        """All of it as plain values."""
        from steersman.results.telling import told

        return told(self)

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The checkpoint that each scorer keeps; lower scores are better."""
        return self.told.choices

    @property
    def scores(self) -> tuple[ScoreGiven, ...]:
        """Every score of every scorer; lower is better."""
        return self.told.scores

    @property
    def findings(self) -> tuple[FindingMade, ...]:
        """What the strategies noticed, with step and evidence."""
        return self.told.findings

    @property
    def proposals(self) -> tuple[ProposalMade, ...]:
        """What they would have changed, with the arbiter's verdict."""
        return self.told.proposals

    def to_pandas(self, table: str = "choices") -> DataFrame:
        """Return a table as a DataFrame: `choices`, `scores`, `findings` or `proposals`.

        Raises ImportError where pandas is not installed, ValueError for another table.
        """
        from steersman.results.frames import frame

        return frame((self.told,), table)


def replay(
    path: str | Path,
    config: Source = None,
    *,
    use: str | Sequence[object] = (),
    values: Mapping[str, float] | None = None,
    folder: Path | None = None,
    effects: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Replay:
    """Return what the strategies of `config`, or those of `use`, say of the run at `path`.

    `path` is a file, a run directory or a URL that fsspec knows. `use` are entries as those under `use:` in a config:
    names, tables of options by name, objects; they take the place of those of the config. `values` are
    hyperparameters that the log does not hold, such as `{"kl_penalty": 0.15}`. In-house files of a config given as a
    mapping are looked for from `folder`, by default the working directory.
    Without `config` a supervised run is looked at with its own, any other with the default. Strategies that act
    outside the run are left out, and named in a note, unless `effects` asks for them. The variables STEERSMAN__KEY of
    `environment`, by default that of the process, lie over a `config` that is given, never over a run's own.
    Raises ConfigError, or `readers.UnreadableRun`.
    """
    asking = Asking(config, one_or_several(use), values or {}, folder, effects=effects, environment=environment)
    return replay_with(asking, path)


def replay_with(asking: Asking, path: str | Path) -> Replay:
    """Return what is said of the run at `path`, asked as `asking` says; its config is read once for many runs."""
    asking.prepare()
    recording = read_run(located(path), asking.metric_names)
    planned = asking.of(recording)
    settings, strategies = planned.config, planned.fresh()
    if recording.format in _IN_THE_ONE_SPELLING:
        recording = _renamed(recording, settings.metrics)
    entries: list[JournalEntry] = []
    journal = Journal(None)
    journal.subscribers.append(entries.append)
    progress, history = Progress(), WritableHistory()
    known = {**recording.values, **asking.values}
    late = RecordedLate(dict(recording.late_heard))
    supervisor = Supervisor(
        settings,
        strategies,
        late=late if late.heard else None,
        plan=recording.plan,
        registry=on_paper(known, recording, settings, history, progress),
        journal=journal,
        control=Recorded(dict(recording.said)),
        recovery=Recovery(settings.recovery, OnPaperSnapshots() if recording.plan.keeps_snapshots else None),
        facts=recording.facts,
        history=history,
        progress=progress,
        replaying=True,
        effects=asking.effects,
        hooks=planned.hooks,
    )
    loaded = {strategy.name for strategy in strategies}
    without = tuple(entry.name for entry in settings.use if entry.name not in loaded)
    for name in without:
        supervisor.note(
            f"{name} acts outside the run, so it is left out of the replay; --effects asks it", severity="info"
        )
    supervisor.begin()
    if recording.resumes:
        _feed_as_resumed(supervisor, recording)
    else:
        supervisor.feed_all(recording.records)
    supervisor.ranking.lie_at(recording.saved)
    summary = supervisor.end_unchecked() if recording.was_cut else supervisor.end()
    summary |= supervisor.late.hear_after((*late.left(), *recording.late_left), summary["never_came"])
    return Replay(recording, settings, tuple(entries), summary, without, supervisor.ranking)


def _feed_as_resumed(supervisor: Supervisor, recording: Recording) -> None:
    resumes = list(recording.resumes)
    for record in recording.records:
        while resumes and record.step > resumes[0].step:
            resumed = resumes.pop(0)
            supervisor.go_on(resumed)
        supervisor.feed(record)


_IN_THE_ONE_SPELLING = ("trainer_state", "journal")
"""Formats whose names are ours already; those of any other are mapped as they are read."""


def _renamed(recording: Recording, names: Mapping[str, str]) -> Recording:
    """Return the recording in our metric names, as a live run hears it; a renamed log may be an evaluation."""
    if not names:
        return recording
    records: list[Record] = []
    for record in recording.records:
        metrics = {names.get(name, name): value for name, value in record.metrics.items()}
        dropped = tuple(names.get(name, name) for name in record.dropped)
        kind = kind_of({**metrics, **dict.fromkeys(dropped)})
        records.append(evolve(record, kind=kind, metrics=metrics, dropped=dropped))
    plan = recording.plan if recording.supervised else plan_of(tuple(records), recording.plan.total_steps)
    return evolve(recording, records=tuple(records), plan=plan)
