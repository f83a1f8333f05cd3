"""Asks scorers again, once a run is over, about checkpoints whose metrics came too late for any of its checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from steersman.config import read
from steersman.dispatch import Dispatch
from steersman.failing import Failure, told
from steersman.history import WritableHistory
from steersman.journal import JournalEntry
from steersman.late.entries import left_unheard, newest_by_step
from steersman.lifetime import begin_of
from steersman.loading import load, register
from steersman.ranking import Ranking
from steersman.registry import Registry
from steersman.run import Progress, Run
from steersman.schedule import RunPlan
from steersman.windows import Windows


def asked_again(ranking: Ranking, entries: Sequence[JournalEntry]) -> tuple[str, ...]:
    """Let those of a run's strategies that score by metrics alone score what no check heard, into `ranking`.

    Returns a sentence for each that cannot be asked here. Nothing is loaded where there is nothing to ask.
    """
    left = newest_by_step(left_unheard(entries))
    begin = begin_of(entries)
    names = {str(s["name"]) for s in begin.get("strategies", ()) if s.get("scores_late")}
    if not left or not names:
        return ()
    try:
        return _asked(ranking, left, names, begin)
    except Exception as error:
        return (f"What came late could not be scored here: {type(error).__name__}: {error}.",)


def _asked(
    ranking: Ranking, left: Mapping[int, Mapping[str, float]], names: set[str], begin: Mapping[str, Any]
) -> tuple[str, ...]:
    problems: list[str] = []
    source = Path(str(begin.get("config_source", "")))
    config = read(begin["config"], problems, folder=source.parent if source.is_file() else None, environment={})
    problems.clear()  # those of the strategies that are asked are told below
    strategies = load(evolve(config, use=tuple(use for use in config.use if use.name in names)), problems)
    failures: list[Failure] = []
    dispatch = Dispatch(register(strategies), strategies, failures.append)
    run = Run(WritableHistory(), Windows(), ranking, Registry(), Progress(), RunPlan(), config.mode, replaying=True)
    for step, metrics in left.items():
        given = dispatch.scores(run, ranking.with_late(step, metrics), late=True)
        ranking.hear_late(step, metrics, given)
    said = [f"What came late could not be scored here: {problem}." for problem in problems]
    return (*said, *(f"{f.loaded.name} failed at what came late: {told(f.error)}." for f in failures))
