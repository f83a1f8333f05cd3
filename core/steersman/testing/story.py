"""Runs made up in a line: what was logged, evaluated, saved and spent, and a resume, in the order it happened."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, frozen

from steersman.journal import JournalEntry
from steersman.rails import Mode
from steersman.records import Kind, Record, Usage, number
from steersman.testing.casting import cast_of
from steersman.testing.events import Event, Resume, Saved, plan_for
from steersman.testing.played import Played, played
from steersman.testing.stage import Stage

Values = float | Sequence[float]


def a_run(steps_per_epoch: int | None = 10, **hyperparameters: float) -> Story:
    """Return the story of a run at its first step; each hyperparameter is live and may be changed.

    With None for `steps_per_epoch` it is that of a loop without epochs: no log has one.
    Raises ValueError where an epoch has no step, TypeError for a value that is no number.
    """
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ValueError(f"an epoch has at least 1 step, got steps_per_epoch={steps_per_epoch}")
    return Story(steps_per_epoch, _numbers(hyperparameters))


@frozen
class Story:
    """A run as it is told. Every method returns a new story that goes on from this one, which stays as it is."""

    steps_per_epoch: int | None
    values: Mapping[str, float]
    events: tuple[Event, ...] = ()
    step: int = 0
    elapsed: float | None = None
    total_steps: int | None = None
    unlogged: tuple[Usage, ...] = ()

    def epoch(self, logs: int = 1, **metrics: Values) -> Story:
        """Train an epoch with `logs` evenly spread logs, the last at its end.

        A number is what each log holds; a list or tuple has one value for each log.
        Raises ValueError where the run has no epochs, or the numbers of logs, values and steps do not fit.
        """
        steps = self.steps_per_epoch
        if steps is None:
            raise ValueError("this run has no epochs; say a_run(steps_per_epoch=10), or .log(steps=10)")
        if not 1 <= logs <= steps:
            raise ValueError(f"an epoch of {steps} steps has 1 to {steps} logs, not {logs}")
        for name, value in metrics.items():
            if isinstance(value, Sequence) and len(value) != logs:
                raise ValueError(f"{name} has {len(value)} values for {logs} logs; say logs={len(value)}")
        story = self
        for i in range(logs):
            at = self.step + round(steps * (i + 1) / logs)
            held = {name: value[i] if isinstance(value, Sequence) else value for name, value in metrics.items()}
            story = story._heard("train", at, held)
        return story

    def log(self, steps: int = 1, **metrics: float) -> Story:
        """Train `steps` steps and log once. Raises ValueError for less than none."""
        if steps < 0:
            raise ValueError(f"a run goes forward; steps must be at least 0, got {steps}")
        return self._heard("train", self.step + steps, metrics)

    def evaluate(self, **metrics: float) -> Story:
        """Evaluate at the current step; metrics are named as the trainer logs them, such as `eval_loss`.

        A second evaluation at the same step is that of another evaluation set.
        Raises ValueError where no name starts with `eval_`.
        """
        if metrics and not any(name.startswith("eval_") for name in metrics):
            name = next(iter(metrics))
            raise ValueError(f"an evaluation logs names that start with eval_, so say eval_{name}, not {name}")
        return self._heard("eval", self.step, metrics)

    def saved(self) -> Story:
        """Write the checkpoint directory of the current step."""
        return evolve(self, events=(*self.events, Saved(self.step)))

    def spent(
        self,
        ledger: Literal["generation", "backpropagation", "teacher"],
        tokens: int = 0,
        seconds: float = 0.0,
        samples: int = 0,
        received: int = 0,
    ) -> Story:
        """Spend tokens and seconds; the next log carries them."""
        return evolve(self, unlogged=(*self.unlogged, Usage(ledger, tokens, seconds, samples, received)))

    def takes(self, seconds: float) -> Story:
        """Let seconds of training pass; before the first of these a log has no time."""
        return evolve(self, elapsed=(self.elapsed or 0.0) + seconds)

    def lasts(self, total_steps: int) -> Story:
        """Say how many steps the run will have; without it that is not known."""
        return evolve(self, total_steps=total_steps)

    def resume(self) -> Story:
        """Interrupt the run and resume it: the state goes through JSON, everything is made anew."""
        return evolve(self, events=(*self.events, Resume()))

    def play(
        self,
        *strategies: object,
        mode: Mode = "act",
        check_every: Literal["auto", "epoch", "eval"] | int = "epoch",
        rails: bool | Mapping[str, Any] = False,
        **config: Any,
    ) -> Played:
        """Return what the strategies, instances or classes, say of this run and what comes of it.

        An instance keeps what it remembers, so give a fresh one to each play. Without `rails` nothing but a proposal's
        own bounds holds a change; True is the rails of an empty config, a table is those given. After a stop that was
        carried out nothing more happens.
        Raises TypeError for a strategy by name, ConfigError for one that is none, ValueError where usage was spent and
        never logged.
        """
        if self.unlogged:
            raise ValueError("what was spent is carried by the next log, and none comes: end with .log() or .epoch()")
        cast = cast_of(
            strategies, mode=mode, check_every=check_every, rails=rails, hyperparameters=self.values, more=config
        )
        events = tuple(_renamed(event, cast.config.metrics) for event in self.events)
        plan = plan_for(events, total_steps=self.total_steps, steps_per_epoch=self.steps_per_epoch)
        entries: list[JournalEntry] = []
        with tempfile.TemporaryDirectory(prefix="steersman-", ignore_cleanup_errors=True) as folder:
            done = Stage(cast, plan, self.values, folder=Path(folder), hear=entries.append).play(events)
        return played(entries, done.best, done.stopped_at, done.problems)

    def _heard(self, kind: Kind, step: int, metrics: Mapping[str, float]) -> Story:
        usage, unlogged = (self.unlogged, ()) if kind == "train" else ((), self.unlogged)
        epoch = step / self.steps_per_epoch if self.steps_per_epoch else None
        record = Record(step, kind, _numbers(metrics), epoch, self.elapsed, usage)
        return evolve(self, events=(*self.events, record), step=step, unlogged=unlogged)


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Return every value as a float. Raises TypeError for one that is no number."""
    known = {name: number(value) for name, value in values.items()}
    for name, value in known.items():
        if value is None:
            raise TypeError(f"{name} must be a number, got {type(values[name]).__name__} {values[name]!r}")
    return {name: value for name, value in known.items() if value is not None}


def _renamed(event: Event, names: Mapping[str, str]) -> Event:
    if not names or not isinstance(event, Record):
        return event
    return evolve(event, metrics={names.get(name, name): value for name, value in event.metrics.items()})
