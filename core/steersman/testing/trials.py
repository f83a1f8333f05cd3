"""Puts a strategy through a run for a check: beside another strategy, on paper, to the end."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from attrs import define, evolve

from steersman.checkpoints import Checkpoint
from steersman.checks import Check
from steersman.config import Config, ConfigError
from steersman.decisions import Adjust, Finding, Score
from steersman.failing import StrategyError
from steersman.journal import JournalEntry
from steersman.rails import Mode
from steersman.records import Record
from steersman.strategies import hookimpl
from steersman.testing.casting import Cast, cast_of, uses_of
from steersman.testing.eventful import VALUES
from steersman.testing.events import Event, Saved, plan_for, step_of
from steersman.testing.stage import Stage
from steersman.testing.trial import Trial

Make = Callable[[], object]
_without_effects = ContextVar("without_effects", default=False)


@define(eq=False)
class Another:
    """Runs beside the strategy that is tried: it scores, and finds and changes something at every check."""

    @hookimpl
    def score_checkpoint(self, checkpoint: Checkpoint) -> Score | None:
        loss = checkpoint.metrics.get("eval_loss", math.nan)
        return Score(loss) if math.isfinite(loss) else None

    @hookimpl
    def diagnose(self, check: Check) -> Finding:
        return Finding("looked", f"looked at step {check.step}", "info")

    @hookimpl
    def propose_adjustments(self, check: Check) -> Adjust:
        return Adjust("weight_decay", scale=0.9, because="each check")


def tried(
    make: Make,
    events: Iterable[Event],
    *,
    folder: Path | None = None,
    mode: Mode = "act",
    check_every: int | Literal["auto"] = "auto",
    beside_another: bool = True,
    knows_its_end: bool = True,
    wrap: Callable[[object], object] | None = None,
) -> Trial:
    """Play a run to a fresh strategy, all of it: a stop is heard of and not made.

    Checkpoints are written to `folder`; `knows_its_end` is whether the plan tells how long the run is; `wrap` returns
    what stands in for the strategy.
    """
    told = tuple(_of_its_own(event) for event in events)
    config = evolve(_settings(mode, check_every), use=uses_of((make(), *((Another(),) if beside_another else ()))))
    last = max((step_of(event) for event in told), default=0) or None
    plan = plan_for(told, total_steps=last if knows_its_end else None, steps_per_epoch=10)
    entries: list[JournalEntry] = []
    with contextlib.ExitStack() as held:
        if folder is None and any(isinstance(event, Saved) for event in told):
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="steersman-")))
        try:
            cast = Cast(config, wrap)
            quiet = _without_effects.get() and cast.strategies()[0].effects
            stage = Stage(cast, plan, VALUES, folder=folder, hear=entries.append, stops=False, replaying=quiet)
        except ConfigError as error:
            raise AssertionError("; ".join(error.problems)) from None
        with _unlogged(), contextlib.suppress(StrategyError):  # a failure after which a strategy wants no run
            stage.play(told)
    return Trial(stage, entries)


@contextlib.contextmanager
def without_effects() -> Generator[None]:
    """Try strategies that act outside the run as a replay does: what they would do there is not done."""
    token = _without_effects.set(True)
    try:
        yield
    finally:
        _without_effects.reset(token)


@contextlib.contextmanager
def _unlogged() -> Generator[None]:
    """Leave failures to the sentence of the check: a smallest example is found by failing many times."""
    logger = logging.getLogger("steersman")
    was = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was


def _of_its_own(event: Event) -> Event:
    """Return an event that no other run is played with: a strategy might change it."""
    return evolve(event, metrics=dict(event.metrics)) if isinstance(event, Record) else event


@functools.cache
def _settings(mode: Mode, check_every: int | Literal["auto"]) -> Config:
    cast = cast_of(
        (),
        mode=mode,
        check_every=check_every,
        rails=False,
        hyperparameters=VALUES,
        more={"quarantine_after": 1_000_000},
    )
    return cast.config
