"""Feeds a finished run through the very same supervisor as a live one, hyperparameters kept on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from steersman.config import Config, ConfigError, read
from steersman.config.reading import Source
from steersman.control import Recorded
from steersman.history import History, WritableHistory
from steersman.hyperparameters import SAFER, Entry, OnPaper, base_of
from steersman.journal import Journal, JournalEntry
from steersman.loaded import Loaded
from steersman.loading import load
from steersman.readers import Recording
from steersman.readers import read as read_run
from steersman.readers.recording import plan_of
from steersman.records import Record, kind_of
from steersman.registry import Registry
from steersman.run import Progress
from steersman.snapshots import OnPaperSnapshots, Recovery
from steersman.supervisor import Supervisor


@frozen
class Replay:
    """What the strategies would have said of a finished run.

    Metrics after a change that never happened are not predicted. `left_out` names strategies that act outside.
    """

    recording: Recording
    config: Config
    entries: tuple[JournalEntry, ...]
    summary: Mapping[str, Any]
    left_out: tuple[str, ...] = ()

    def of(self, kind: str) -> tuple[JournalEntry, ...]:
        """Return the entries of one kind: `score`, `finding`, `proposal`, `error`, ..."""
        return tuple(entry for entry in self.entries if entry.kind == kind)


def replay(
    path: str | Path,
    config: Source = None,
    *,
    values: Mapping[str, float] | None = None,
    watch: Callable[[Sequence[Record]], Iterable[Record]] = iter,
    folder: Path | None = None,
    effects: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Replay:
    """Return what the strategies of `config` say of the run at `path`, a file or a run directory.

    `values` are hyperparameters that the log does not hold, such as `{"kl_penalty": 0.15}`. `watch` yields the
    records it is given, and may show how far it is. In-house files of a config given as a mapping are looked for from
    `folder`, by default the working directory.
    Without `config` a supervised run is looked at with its own, any other with the default. Strategies that act
    outside the run are left out, and named in a note, unless `effects` asks for them. The variables STEERSMAN__KEY of
    `environment`, by default that of the process, lie over a `config` that is given, never over a run's own.
    Raises ConfigError, or `readers.UnreadableRun`.
    """
    asked = _load(config, folder, effects=effects, environment=environment) if config is not None else None
    recording = read_run(Path(path))
    settings, strategies = asked or _as_it_was(recording, effects=effects)
    recording = _renamed(recording, settings.metrics)
    entries: list[JournalEntry] = []
    journal = Journal(None)
    journal.subscribers.append(entries.append)
    progress, history = Progress(), WritableHistory()
    known = {**recording.values, **(values or {})}
    supervisor = Supervisor(
        settings,
        strategies,
        plan=recording.plan,
        registry=on_paper(known, recording, settings, history, progress),
        journal=journal,
        control=Recorded(dict(recording.said)),
        recovery=Recovery(settings.recovery, OnPaperSnapshots() if recording.plan.keeps_snapshots else None),
        facts=recording.facts,
        history=history,
        progress=progress,
        replaying=True,
        effects=effects,
    )
    without = left_out(settings, strategies)
    for name in without:
        supervisor.note(
            f"{name} acts outside the run, so it is left out of the replay; --effects asks it", severity="info"
        )
    supervisor.begin()
    resumes = list(recording.resumes)
    if not resumes and watch is iter:
        supervisor.feed_all(recording.records)
    for record in () if not resumes and watch is iter else watch(recording.records):
        while resumes and record.step > resumes[0].step:
            resumed = resumes.pop(0)
            supervisor.go_on(resumed.step, resumed.rollbacks)
        supervisor.feed(record)
    for step, saved in recording.saved.items():
        supervisor.ranking.mark_saved(step, saved)
    told = supervisor.end()
    return Replay(recording, settings, tuple(entries), told, without)


def left_out(config: Config, strategies: tuple[Loaded, ...]) -> tuple[str, ...]:
    """Return the names of the strategies that the config names and that were not loaded, because of their effects."""
    loaded = {strategy.name for strategy in strategies}
    return tuple(use.name for use in config.use if use.name not in loaded)


def _load(
    config: Source, folder: Path | None = None, *, effects: bool, environment: Mapping[str, str] | None = None
) -> tuple[Config, tuple[Loaded, ...]]:
    """Return a config and its strategies. Raises ConfigError with every fault of both."""
    problems: list[str] = []
    settings = read(config, problems, folder=folder, environment=environment)
    strategies = load(settings, problems, effects=effects)
    if problems:
        raise ConfigError(settings.source, problems)
    return settings, strategies


def _as_it_was(recording: Recording, *, effects: bool) -> tuple[Config, tuple[Loaded, ...]]:
    """Return the run's own config, or the default where it has none or one that cannot be loaded here."""
    if recording.config is None:
        return _load(None, effects=effects)
    try:
        settings, strategies = _load(recording.config, recording.config_folder, effects=effects, environment={})
        source = "the run's own"
    except ConfigError as error:
        settings, strategies = _load(None, effects=effects)
        source = f"the default, because the run's own cannot be loaded here: {error.problems[0]}"
    return evolve(settings, source=source), strategies


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


@define(eq=False)
class _AsLogged(OnPaper):
    """A value as it was in force at each check, else as last logged; after a change on paper, the changed one.

    A log holds the learning rate of the step that is over, so where only that is known it is one step of the schedule
    behind the rate a live run would have changed.
    """

    name: str = field(kw_only=True)
    history: History = field(kw_only=True)
    progress: Progress = field(kw_only=True)
    values_at: Mapping[int, Mapping[str, float]] = field(kw_only=True)
    fails_at: int | None = field(kw_only=True)
    changed_at: int = -1

    def read(self) -> float | None:
        step = self.progress.step
        if self.values_at and step > self.changed_at and self.name in self.values_at.get(step, {}):
            return self.values_at[step][self.name]
        if self.name != "learning_rate":
            return self.value
        series = self.history[self.name] if self.name in self.history else None
        logged_at = series.latest_step if series is not None else None
        if series is None or logged_at is None or logged_at <= self.changed_at:
            return self.value
        return series.latest

    def write(self, value: float, ratio: float) -> None:
        if self.progress.step == self.fails_at:
            raise ValueError("it failed in the run itself")
        self.value, self.changed_at = value, self.progress.step


@define(eq=False)
class _AfterAWait(_AsLogged):
    """A value that came into force at `effects`, some steps after it was changed."""

    effects: list[int] = field(kw_only=True)
    is_waiting: bool = False

    @property
    def waits(self) -> bool:
        return self.is_waiting

    def write(self, value: float, ratio: float) -> None:
        super().write(value, ratio)
        self.is_waiting = True

    def take_effect(self) -> bool:
        if not self.effects or self.progress.step < self.effects[0]:
            return False
        del self.effects[0]
        self.is_waiting = False
        return True


def on_paper(
    values: Mapping[str, float], recording: Recording, config: Config, history: History, progress: Progress
) -> Registry:
    """Return an entry for every hyperparameter that is known or that the config allows to be changed.

    A supervised run names all it had: there, any other is unsupported, as it was live.
    """
    entries: list[Entry] = []
    for name in dict.fromkeys((*SAFER, *values, *config.hyperparameters)):
        safer = recording.safer.get(name, SAFER.get(base_of(name)))
        if recording.supervised and name not in values:
            entries.append(Entry(name, None, "unsupported", "the supervised run had none", safer=safer))
            continue
        effects, value = list(recording.effects.get(name, ())), values.get(name)
        known: dict[str, Any] = {
            "name": name,
            "history": history,
            "progress": progress,
            "values_at": recording.values_at,
            "fails_at": recording.failed.get(name),
        }
        logged = _AfterAWait(value, effects=effects, **known) if effects else _AsLogged(value, **known)
        entries.append(Entry(name, logged, "live", safer=safer))
    return Registry(entries)
