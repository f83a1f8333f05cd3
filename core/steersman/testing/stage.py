"""Plays the events of a run to strategies through the real supervisor, hyperparameters kept on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import evolve, frozen

from steersman.checkpoints import Checkpoint
from steersman.config import Config
from steersman.hyperparameters import SAFER, Entry, OnPaper, base_of
from steersman.journal import Journal, JournalEntry, from_json, to_json
from steersman.loaded import Loaded
from steersman.records import Record
from steersman.registry import Registry
from steersman.schedule import RunPlan
from steersman.snapshots import OnPaperSnapshots, Recovery
from steersman.supervisor import Supervisor
from steersman.testing.casting import Cast
from steersman.testing.events import Event, Kept, Resume, Saved

_ALWAYS = ("memory", "disk")


@frozen
class Performed:
    """What a run left: the best checkpoint, the step of the first stop, and what a resume could not give back."""

    best: Checkpoint | None
    stopped_at: int | None
    problems: tuple[str, ...]


class Stage:
    """One run from its begin to its end. `hear` is told each journal entry; `folder` is where checkpoints are written.

    `strategies` are those of the life that is being played, `problems` what a resume could not give back.
    """

    def __init__(
        self,
        cast: Cast,
        plan: RunPlan,
        values: Mapping[str, float],
        *,
        folder: Path | None,
        hear: Callable[[JournalEntry], None],
        stops: bool = True,
        replaying: bool = False,
    ) -> None:
        self._cast, self._plan, self._values, self._folder, self._hear = cast, plan, values, folder, hear
        self._past: list[Record] = []
        self._open: int | None = None
        self._stops, self._replaying = stops, replaying
        self.problems: tuple[str, ...] = ()
        self.stopped_at: int | None = None
        self.strategies = cast.strategies()
        self.supervisor = self._supervisor()

    def play(self, events: Iterable[Event]) -> Performed:
        """Play every event, where it `stops` up to the stop that a strategy asked for, and end the run."""
        self.supervisor.begin()
        for event in events:
            if isinstance(event, Resume):
                self.resume()
            elif isinstance(event, Kept):
                self.supervisor.recovery.take(self.supervisor.progress.step)
            elif isinstance(event, Saved):
                self._save(event.step)
            elif not self._feed(event):
                break
        supervisor = self.supervisor
        supervisor.end()
        self._note_stop()
        return Performed(supervisor.ranking.best(), self.stopped_at, self.problems)

    def resume(self) -> None:
        """Save the state through JSON, make everything anew, restore the state."""
        before = self.supervisor
        saved = from_json(json.loads(json.dumps(to_json(before.save()), allow_nan=False)))
        if before.watchdog is not None:
            before.watchdog.stop()
        self._cast = self._cast.anew()
        self.strategies = self._cast.strategies()
        self.supervisor = self._supervisor()
        self.problems += self.supervisor.begin(self._past, saved, step=before.progress.step)

    def _feed(self, record: Record) -> bool:
        """Hear a record; return False where the run was stopped before it."""
        if self._open is not None and record.step != self._open:
            self.supervisor.settle(step_begins=True)
            if self._note_stop() and self._stops:
                return False
        self._open = record.step
        self._past.append(record)
        self.supervisor.feed(record)
        return True

    def _note_stop(self) -> bool:
        if self.stopped_at is None and self.supervisor.actions.stop_because is not None:
            self.stopped_at = self.supervisor.progress.step
        return self.stopped_at is not None

    def _save(self, step: int) -> None:
        assert self._folder is not None, "a run that saves is given a folder"
        path = self._folder / f"checkpoint-{step}"
        path.mkdir(parents=True, exist_ok=True)
        self.supervisor.saved(step, str(path))

    def _supervisor(self) -> Supervisor:
        config, values = self._cast.config, self._values
        recovery = recovery_for(config, self.strategies)
        journal = Journal(None)
        journal.subscribers.append(self._hear)
        return Supervisor(
            config,
            self.strategies,
            plan=evolve(self._plan, keeps_snapshots=recovery.is_on),
            registry=Registry(Entry(n, OnPaper(v), "live", safer=SAFER.get(base_of(n))) for n, v in values.items()),
            journal=journal,
            recovery=recovery,
            replaying=self._replaying,
        )


def recovery_for(config: Config, strategies: Iterable[Loaded]) -> Recovery:
    """Return the snapshots of a run, on paper: where a strategy may roll back, or the config asks for them."""
    wanted = any(loaded.needs_snapshots for loaded in strategies)
    settings = config.recovery
    is_on = settings.snapshots in _ALWAYS or (wanted and settings.snapshots != "off")
    return Recovery(settings, OnPaperSnapshots() if is_on else None)
