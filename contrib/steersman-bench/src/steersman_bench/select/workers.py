"""Plays each strategy in a process of its own, which is ended where a call takes too long."""

from __future__ import annotations

import logging
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from steersman_bench.select.curves import Curves, Recording
from steersman_bench.select.playing import Play, play, prepare

SIZES = (8, 32, 128, 256)
"""Validation sizes; the last is the whole split."""
_LONGEST_START = 120.0


@frozen
class Work:
    """What is played: the strategy that a text names, on the runs of a recording, at every validation size."""

    use: str
    recording: Recording


@define(eq=False)
class Playing:
    """What came of a strategy so far. `plays` are by the run's number and by size; `ended` says why there is no more."""

    plays: dict[tuple[int, int], Play] = field(factory=dict[tuple[int, int], Play])
    ended: str = ""


@define(eq=False)
class _Worker:
    process: Any
    connection: Connection
    ticks: Any
    seen: int = -1
    since: float = field(factory=time.monotonic)
    is_done: bool = False

    def is_late(self, timeout: float) -> bool:
        """Whether nothing moved for too long: within a record, or before the first."""
        if self.ticks.value != self.seen:
            self.seen, self.since = self.ticks.value, time.monotonic()
        return time.monotonic() - self.since > (timeout if self.seen else max(timeout, _LONGEST_START))


def play_all(
    made: Mapping[str, Playing], recording: Recording, *, timeout: float, workers: int
) -> Iterator[tuple[str, Play]]:
    """Yield each play as it is done; what came of each strategy is in `made`, by the text that names it.

    `timeout` is the seconds that a strategy may take over one record.
    """
    waiting, running = [*made], dict[str, _Worker]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                use = waiting.pop(0)
                running[use] = _started(Work(use, recording))
            wait([worker.connection for worker in running.values()], timeout=0.1)
            for use, worker in [*running.items()]:
                yield from ((use, one) for one in _heard(worker, made[use], recording, timeout))
                if worker.is_done:
                    _end(running.pop(use))
    finally:
        for worker in running.values():
            _end(worker)


def _heard(worker: _Worker, made: Playing, recording: Recording, timeout: float) -> Iterator[Play]:
    """Yield what a worker tells. It is done once it said so, died, or took too long."""
    try:
        while worker.connection.poll():
            told = worker.connection.recv()
            if told is None:
                worker.is_done = True
                return
            run, size, result = told
            made.plays[run, size] = result
            yield result
    except EOFError:
        worker.process.join(5)
        made.ended, worker.is_done = f"its process ended (exit code {worker.process.exitcode})", True
    else:
        if worker.is_late(timeout):
            made.ended, worker.is_done = f"it took more than {timeout:g} s over one record, and was ended", True
    if worker.is_done:
        made.ended += _where(made, recording)


def _where(made: Playing, recording: Recording) -> str:
    at, size = divmod(len(made.plays), len(SIZES))
    return f", in {recording.runs[at].name}, validation size {SIZES[size]}" if at < len(recording.runs) else ""


def _started(work: Work) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    ticks = context.Value("Q", 0, lock=False)
    process = context.Process(target=_main, args=(work, theirs, ticks), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, ticks)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.connection.close()


def _main(work: Work, connection: Connection, ticks: Any) -> None:
    """Play everything, in the worker; what a strategy prints goes to standard error."""
    from steersman_bench.select.naming import planned

    os.dup2(2, 1)
    logging.getLogger("steersman").disabled = True
    strategy = planned(work.use)

    def tick() -> None:
        ticks.value += 1

    with tempfile.TemporaryDirectory(prefix="steersman-bench-") as folder:
        prepare(Path(folder))
        for number, run in enumerate(work.recording.runs):
            for size in SIZES:
                connection.send((number, size, _played(strategy, run, size, Path(folder), tick)))
    connection.send(None)


def _played(strategy: Any, run: Curves, size: int, folder: Path, tick: Callable[[], None]) -> Play:
    try:
        return play(strategy, run, size, folder, on_record=tick)
    except Exception as error:
        return Play(None, problem=f"{type(error).__name__}: {error}")
