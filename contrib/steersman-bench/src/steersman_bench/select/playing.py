"""Plays a recorded run to a strategy through the real supervisor: which candidate does it keep?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from steersman.averaging.candidates import Candidate
from steersman.examples import FILE, ExampleLosses, example_losses
from steersman.hyperparameters import Entry, OnPaper
from steersman.journal import Journal, JournalEntry
from steersman.planned import Planned
from steersman.records import Record
from steersman.registry import Registry
from steersman.schedule import RunPlan
from steersman.snapshots import OnPaperSnapshots, Recovery
from steersman.supervisor import Supervisor
from steersman_bench.select.candidates import EVALUATIONS, WINDOWS, windows
from steersman_bench.select.curves import Curves

_NUMBER_OF = {window: at for at, window in enumerate(windows())}
_SIZES = " or ".join(map(str, WINDOWS))


@frozen
class Play:
    """What a strategy kept of one run: the number of a candidate, None where it failed with `problem`.

    `stopped` is whether it ended the run early, `averages` how many it proposed.
    """

    kept: int | None
    stopped: bool = False
    averages: int = 0
    problem: str = ""


def play(planned: Planned, run: Curves, size: int, folder: Path) -> Play:
    """Play a run whose evaluations are means over the `size` examples of its validation set.

    What ranks first is kept, by the strategy's own scores or, where it gives none, by eval loss. Averages that it
    proposes are judged as those of a real run, paired by example. A stop ends the run. Other proposals change nothing
    here.
    """
    means, entries = run.means(size), list[JournalEntry]()
    supervisor = _supervisor(planned, run, entries.append)
    supervisor.tries = lambda candidates: _judge(candidates, supervisor, run, size, folder)
    supervisor.begin()
    stopped = False
    for evaluation, record in _records(run, means):
        supervisor.feed(record)
        if record.kind == "eval" and evaluation:
            supervisor.saved(record.step, str(folder / str(evaluation)))
            supervisor.settle(step_begins=True)
            stopped = supervisor.actions.stop_because is not None and evaluation < EVALUATIONS
            if stopped:
                break
    supervisor.end()
    return _kept(run, supervisor, entries, stopped=stopped)


def prepare(folder: Path) -> None:
    """Make the folders in which the checkpoints of every run are said to lie."""
    for evaluation in range(1, EVALUATIONS + 1):
        (folder / str(evaluation)).mkdir(parents=True, exist_ok=True)


def _judge(candidates: tuple[Candidate, ...], supervisor: Supervisor, run: Curves, size: int, folder: Path) -> None:
    """Have averages judged by what is recorded of them; one that is not recorded is left out."""
    means, subset = run.means(size), run.subset(size)
    examples = supervisor.scoring.examples = ExampleLosses(folder / f"{os.getpid()}-{FILE}")
    ends = examples.open(resumed=False)
    best = supervisor.ranking.best()
    if best is not None:
        examples.keep(best.key, tuple(run.losses[_window_of(run, (best.step,))[0], subset].tolist()))
    for candidate in candidates:
        window = _window_of(run, candidate.average.steps)
        if window in _NUMBER_OF:
            number = _NUMBER_OF[window]
            example_losses(run.losses[number, subset])
            candidate.judge({"eval_loss": float(means[number])}, folder / candidate.folder)
    ends()


def _window_of(run: Curves, steps: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of the evaluations at these steps, -1 where there was none."""
    number = {run.step_of(evaluation): evaluation for evaluation in range(EVALUATIONS + 1)}
    return tuple(number.get(step, -1) for step in steps)


def _kept(run: Curves, supervisor: Supervisor, entries: list[JournalEntry], *, stopped: bool) -> Play:
    failures = [entry.data for entry in entries if entry.kind == "error"]
    if failures:
        return Play(None, problem=f"failed in {failures[0]['hook']}: {failures[0]['error']}")
    ranked = supervisor.ranking.ranked()
    if not ranked:
        return Play(None, problem="no checkpoint was left that may be best")
    averages = [tuple(entry.data["steps"]) for entry in entries if entry.kind == "average"]
    for steps in averages:
        if (window := _window_of(run, steps)) not in _NUMBER_OF:
            return Play(None, problem=_not_recorded(steps, window, run))
    best = ranked[0].averaged or (ranked[0].step,)
    return Play(_NUMBER_OF[_window_of(run, best)], stopped, len(averages))


def _not_recorded(steps: tuple[int, ...], window: tuple[int, ...], run: Curves) -> str:
    told = ", ".join(map(str, steps))
    if -1 in window:
        return f"proposed an average of the steps {told}, of which not all are checkpoints of {run.name}"
    return f"proposed an average of the steps {told}; only averages of {_SIZES} neighbours are recorded"


def _supervisor(planned: Planned, run: Curves, hear: Callable[[JournalEntry], None]) -> Supervisor:
    journal = Journal(None)
    journal.subscribers.append(hear)
    rate = Entry("learning_rate", OnPaper(float(run.logs[0, 1])), "live", safer="down")
    return Supervisor(
        planned.config,
        planned.fresh(),
        plan=RunPlan(run.steps, evaluates=True, eval_every=run.step_of(1), keeps_snapshots=True),
        registry=Registry([rate]),
        journal=journal,
        recovery=Recovery(planned.config.recovery, OnPaperSnapshots()),
        replaying=True,
        hooks=planned.hooks,
    )


def _records(run: Curves, means: Any) -> Iterator[tuple[int, Record]]:
    """Yield the records of a run, each with the number of the evaluation it belongs to."""
    yield 0, Record(0, "eval", {"eval_loss": float(means[0])}, 0.0)
    every = len(run.logs) // EVALUATIONS
    for at, (loss, rate) in enumerate(run.logs.tolist(), 1):
        evaluation, epoch = -(-at // every), at / len(run.logs) * run.epochs
        step = at * run.steps // len(run.logs)
        yield evaluation, Record(step, "train", {"loss": loss, "learning_rate": rate}, epoch)
        if at % every == 0:
            yield evaluation, Record(step, "eval", {"eval_loss": float(means[evaluation])}, epoch)
