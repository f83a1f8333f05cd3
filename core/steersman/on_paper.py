"""The hyperparameters of a run that is over: kept on paper, as they were or as they would have been changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from steersman.config import Config
from steersman.history import History
from steersman.hyperparameters import SAFER, Entry, OnPaper, base_of
from steersman.readers.recording import Recording
from steersman.registry import Registry
from steersman.run import Progress


@define(eq=False)
class _AsGiven(OnPaper):
    """A value that no log tells of; `fails_at` is the step at which it could not be written."""

    progress: Progress = field(kw_only=True)
    fails_at: int | None = field(kw_only=True)

    def write(self, value: float, ratio: float) -> None:
        if self.progress.step == self.fails_at:
            raise ValueError("it failed in the run itself")
        self.value = value


@define(eq=False)
class _AsLogged(_AsGiven):
    """A value as it was in force at each check, else as last logged; after a change on paper, the changed one.

    A log holds the learning rate of the step that is over, so where only that is known it is one step of the schedule
    behind the rate a live run would have changed.
    """

    name: str = field(kw_only=True)
    history: History = field(kw_only=True)
    values_at: Mapping[int, Mapping[str, float]] = field(kw_only=True)
    changed_at: int = -1

    def read(self) -> float | None:
        step = self.progress.step
        if self.values_at and step > self.changed_at and self.name in self.values_at.get(step, {}):
            return self.values_at[step][self.name]
        if self.name != "learning_rate":
            return self.value
        newest = self.history[self.name].newest() if self.name in self.history else None
        return self.value if newest is None or newest[0] <= self.changed_at else newest[1]

    def write(self, value: float, ratio: float) -> None:
        super().write(value, ratio)
        self.changed_at = self.progress.step


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
        effects, value, fails_at = recording.effects.get(name), values.get(name), recording.failed.get(name)
        if name != "learning_rate" and not recording.values_at and not effects:
            handle = _AsGiven(value, progress=progress, fails_at=fails_at)
        else:
            known: dict[str, Any] = {
                "name": name,
                "history": history,
                "progress": progress,
                "values_at": recording.values_at,
                "fails_at": fails_at,
            }
            handle = _AfterAWait(value, effects=list(effects), **known) if effects else _AsLogged(value, **known)
        entries.append(Entry(name, handle, "live", safer=safer))
    return Registry(entries)
